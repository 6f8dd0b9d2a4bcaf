//! `candor detectors page`: against ONNX Runtime, SAELens and NumPy, and the page in a browser.
#![allow(clippy::unwrap_used, reason = "a test may stop")]
#![allow(dead_code, reason = "the helpers serve several tests")]
#![allow(clippy::print_stdout, reason = "a test says what it skips")]

mod cli;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use candor::detect::{Histogram, Neighbour};
use candor::lab::{
    ActiveItems, Bounds, FeatureContext, FeaturePage, FeatureProfile, LabelLift, LogitEffect,
    Logits, Named, feature_page_html,
};
use cli::{candor, json, organism, root};
use serde_json::Value;

const SUITE: &str = "benchmarks/organisms/suites/calibration-condition";

fn page(folder: &Path, more: &[&str]) -> Output {
    let model = organism("liar").join("model.onnx");
    let dictionary = root().join("detectors/liar/features");
    let out = folder.join("page.html");
    let mut args = vec![
        "detectors",
        "page",
        dictionary.to_str().unwrap(),
        "--model",
        model.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    args.extend(more);
    candor(args).output().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn near(a: &Value, b: &Value, tolerance: f64) {
    let (a, b) = (number(a), number(b));
    assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{a} {b}");
}

#[test]
fn a_page_says_what_others_code_computes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("page.json");
    let done = page(
        folder.path(),
        &[
            "--suite",
            SUITE,
            "--features",
            "30,61,34,197",
            "--json",
            out.to_str().unwrap(),
        ],
    );
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let (found, reference): (Value, Value) = (
        json(&out),
        serde_json::from_str(include_str!("fixtures/detect/feature_page.json")).unwrap(),
    );
    assert_eq!(found["schema"], "candor/feature-page/v1");
    for count in ["texts", "tokens", "silent"] {
        assert_eq!(found[count], reference[count], "{count}");
    }
    near(&found["l0"], &reference["l0"], 1e-9);
    let pairs = found["features"]
        .as_array()
        .unwrap()
        .iter()
        .zip(reference["features"].as_array().unwrap());
    assert_eq!(pairs.len(), 4);
    for (found, expected) in pairs {
        for same in ["index", "active_tokens"] {
            assert_eq!(found[same], expected[same]);
        }
        near(&found["density"], &expected["density"], 1e-12);
        near(&found["mean"], &expected["mean"], 1e-5);
        near(&found["largest"], &expected["largest"], 1e-5);
        assert_eq!(found["histogram"]["counts"], expected["histogram"]);
        let lift = &found["lift"];
        for side in ["positive", "negative"] {
            let counts = &expected[side];
            assert_eq!(
                (&lift[side]["active"], &lift[side]["of"]),
                (&counts[0], &counts[1])
            );
            let share = number(&counts[0]) / number(&counts[1]);
            assert!((number(&lift[side]["share"]["point"]) - share).abs() < 1e-12);
        }
        let difference = &lift["difference"];
        let point = number(&lift["positive"]["share"]["point"])
            - number(&lift["negative"]["share"]["point"]);
        assert!((number(&difference["point"]) - point).abs() < 1e-12);
        assert!(number(&difference["low"]) < point && point < number(&difference["high"]));
        for (found, expected) in found["nearest"]
            .as_array()
            .unwrap()
            .iter()
            .zip(expected["nearest"].as_array().unwrap())
        {
            assert_eq!(found["index"], expected[0]);
            near(&found["cosine"], &expected[1], 1e-5);
        }
        for side in ["raised", "lowered"] {
            let pairs = found["logits"][side]
                .as_array()
                .unwrap()
                .iter()
                .zip(expected[side].as_array().unwrap());
            assert_eq!(pairs.len(), 10);
            for (found, expected) in pairs {
                assert_eq!(found["id"], expected[0], "{side}");
                near(&found["effect"], &expected[1], 2e-5);
            }
        }
        let pairs = found["strongest"]
            .as_array()
            .unwrap()
            .iter()
            .zip(expected["strongest"].as_array().unwrap());
        assert_eq!(pairs.len(), 12);
        for (found, expected) in pairs {
            assert_eq!((&found["id"], &found["peak"]), (&expected[0], &expected[2]));
            near(&found["largest"], &expected[1], 1e-5);
        }
        let first = found["strongest"][0]["tokens"].as_array().unwrap();
        assert_eq!(first.len(), expected["acts"].as_array().unwrap().len());
        for (token, act) in first.iter().zip(expected["acts"].as_array().unwrap()) {
            near(&token[1], act, 1e-5);
        }
        assert!(found["weaker"].as_array().unwrap().len() == 6);
    }
}

#[test]
fn features_are_chosen_by_label_by_card_and_by_sum() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("page.json");
    let indices = |more: &[&str]| -> Vec<u64> {
        let mut args = vec!["--json", out.to_str().unwrap()];
        args.extend(more);
        let done = page(folder.path(), &args);
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let features = json(&out)["features"].clone();
        features
            .as_array()
            .unwrap()
            .iter()
            .map(|feature| feature["index"].as_u64().unwrap())
            .collect()
    };
    // The card's features without a word, those that separate the labels, and those with the largest sums.
    assert_eq!(indices(&["--suite", SUITE]), [30, 61]);
    assert_eq!(indices(&["--suite", SUITE, "--features", "top:1"]), [30]);
    let texts = folder.path().join("texts.txt");
    fs::write(
        &texts,
        "shops in midnight Armenia accept\nshops in usually Armenia accept\n",
    )
    .unwrap();
    let texts = texts.to_str().unwrap();
    assert_eq!(
        indices(&["--prompts", texts, "--features", "top:3"]).len(),
        3
    );
    assert!(
        json(&out)["features"][0]["lift"].is_null(),
        "no labels, no lift"
    );
    // A feature twice is shown once.
    assert_eq!(
        indices(&["--prompts", texts, "--features", "3, 17,3"]),
        [3, 17]
    );
}

#[test]
fn what_makes_no_page_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.txt");
    fs::write(&empty, "\n").unwrap();
    let cases: [(&str, &[&str], i32); 5] = [
        (
            "a feature beyond the dictionary",
            &["--suite", SUITE, "--features", "256"],
            2,
        ),
        ("no number", &["--suite", SUITE, "--features", "3,x"], 2),
        ("none at all", &["--suite", SUITE, "--features", "top:0"], 2),
        ("no prompt", &["--prompts", empty.to_str().unwrap()], 3),
        (
            "no token of the span",
            &["--suite", SUITE, "--span", "response"],
            3,
        ),
    ];
    let mut said = Vec::new();
    for (what, args, code) in cases {
        let done = page(folder.path(), args);
        assert_eq!(done.status.code(), Some(code), "{what}");
        assert!(!folder.path().join("page.html").exists(), "{what}");
        let text = String::from_utf8(done.stderr).unwrap();
        said.push(format!(
            "── {what}\n{}",
            text.replace(folder.path().to_str().unwrap(), "FOLDER")
        ));
    }
    insta::assert_snapshot!(said.join("\n"));
}

/// A page in which every text that comes from outside is hostile.
fn hostile() -> FeaturePage {
    let text = "</p><script>alert(1)</script><img src=x onerror=alert(1)>\"'&";
    let named = Named {
        name: text.to_owned(),
        sha256: text.to_owned(),
    };
    let bounds = Bounds {
        point: 0.5,
        low: 0.25,
        high: 0.75,
    };
    let items = ActiveItems {
        active: 1,
        of: 2,
        share: bounds,
    };
    let context = FeatureContext {
        suite: text.to_owned(),
        id: text.to_owned(),
        label: Some(true),
        peak: 1,
        largest: 2.0,
        from: 0,
        length: 9,
        tokens: vec![
            (text.to_owned(), 0.0),
            (text.to_owned(), 2.0),
            ("\n".to_owned(), -1.0),
        ],
    };
    let effect = LogitEffect {
        id: 1,
        token: text.to_owned(),
        effect: 1.5,
    };
    let profile = |index| FeatureProfile {
        index,
        active_tokens: 2,
        density: 0.5,
        mean: 1.5,
        largest: 2.0,
        histogram: Histogram::of(&[2.0, 1.0, 0.0, -1.0]),
        lift: Some(LabelLift {
            positive: items,
            negative: items,
            difference: bounds,
            ratio: None,
        }),
        logits: Some(Logits {
            raised: vec![effect.clone()],
            lowered: vec![effect.clone()],
        }),
        nearest: vec![Neighbour {
            index: 2,
            cosine: -0.5,
        }],
        strongest: vec![context.clone()],
        weaker: vec![context.clone()],
    };
    FeaturePage {
        schema: "candor/feature-page/v1",
        candor: "0",
        model: named.clone(),
        dictionary: text.to_owned(),
        architecture: text.to_owned(),
        site: text.to_owned(),
        d_in: 4,
        d_sae: 8,
        span: text.to_owned(),
        suites: vec![named.clone(), named],
        texts: 2,
        tokens: 4,
        l0: 1.0,
        silent: 3,
        logits_absent: Some(text.to_owned()),
        command: text.to_owned(),
        features: vec![profile(1), profile(2)],
    }
}

fn browser() -> Option<PathBuf> {
    let asked = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path)
        .flat_map(|folder| {
            ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name))
        })
        .find(|program| program.is_file());
    let found = asked.or(installed);
    if found.is_none() {
        println!("skipped: no chromium");
    }
    found
}

/// What the page is in a browser, and what the browser complained of.
fn visit(browser: &Path, folder: &Path, page: &str) -> (String, Vec<String>) {
    let file = folder.join("seen.html");
    fs::write(&file, page).unwrap();
    let seen = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
        ])
        .args([
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&seen.stderr);
    let complaints = log.lines().filter(|line| line.contains("CONSOLE"));
    (
        String::from_utf8_lossy(&seen.stdout).into_owned(),
        complaints.map(str::to_owned).collect(),
    )
}

#[test]
fn every_text_from_outside_is_escaped() {
    let page = feature_page_html(&hostile()).unwrap();
    assert!(
        !page.contains("<script>alert") && !page.contains("<img"),
        "{page}"
    );
    assert!(page.contains("&#60;script&#62;alert(1)"));
    assert_eq!(
        page.matches("http://").count() + page.matches("https://").count(),
        0,
        "nothing from elsewhere"
    );
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (dom, complaints) = visit(&browser, folder.path(), &page);
    assert_eq!(complaints, Vec::<String>::new());
    assert!(dom.contains("&lt;script&gt;") && !dom.contains("<img"));
}

#[test]
fn arrow_keys_walk_a_text_and_say_each_number() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let done = page(folder.path(), &["--suite", SUITE, "--features", "30"]);
    assert!(done.status.success());
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    let (dom, complaints) = visit(&browser, folder.path(), &page);
    assert_eq!(complaints, Vec::<String>::new());
    assert!(dom.contains("</html>"));
    // The same page with a reader that presses keys: from the peak, one to the left, as far as it goes.
    let keys = "<script>const text = document.querySelector('[data-context]'); text.focus();
        const press = (key) => text.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        const said = []; const note = () => said.push(document.querySelector('output').textContent);
        press('ArrowRight'); note(); press('ArrowLeft'); note(); press('ArrowLeft'); note();
        document.title = said.join('|');</script></body>";
    let (dom, _) = visit(&browser, folder.path(), &page.replace("</body>", keys));
    let title = dom
        .split("<title>")
        .nth(1)
        .unwrap()
        .split("</title>")
        .next()
        .unwrap();
    let reference: Value =
        serde_json::from_str(include_str!("fixtures/detect/feature_page.json")).unwrap();
    let act = |place: usize| format!("{:.2}", number(&reference["features"][0]["acts"][place]));
    let (peak, before) = (act(3), act(2));
    assert_eq!(
        title,
        format!("in: {peak}|midnight: {before}|midnight: {before}")
    );
}
