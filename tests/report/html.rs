use candor::report::{AuditReport, html, json};

use crate::full::full;
use crate::synthetic::Kind::{Clean, Decoy, Liar, Mute};
use crate::synthetic::report;

const VOID: [&str; 10] = [
    "meta", "link", "br", "rect", "line", "circle", "!doctype", "input", "img", "hr",
];

/// The names of tags in the order of the page, `/name` for an end; scripts and styles are skipped.
fn tags(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = rest.find('>').expect("every tag ends");
        let name: String = rest[..end]
            .split([' ', '\n', '/'])
            .find(|part| !part.is_empty())
            .unwrap()
            .to_lowercase();
        let name = if rest.starts_with('/') {
            format!("/{name}")
        } else {
            name
        };
        let closed = rest[..end].ends_with('/');
        rest = &rest[end + 1..];
        if let "script" | "style" = name.as_str() {
            rest = &rest[rest.find(&format!("</{name}>")).expect("it ends")..];
        }
        if !closed {
            tags.push(name);
        }
    }
    tags
}

fn assert_well_formed(page: &str) {
    let mut open: Vec<String> = Vec::new();
    for tag in tags(page) {
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "inside {open:?}");
        } else if !VOID.contains(&tag.as_str()) {
            open.push(tag);
        }
    }
    assert!(open.is_empty(), "{open:?} never end");
}

pub fn hostile() -> AuditReport {
    let evil = "<script>alert(1)</script>\"' onload=x <img src=https://e.example/x>";
    let mut report = full();
    report.models.truncate(1);
    report.command = evil.into();
    report.title = evil.into();
    report.waivers[0].reason = evil.into();
    report.controls[0].bearing = evil.into();
    report.runtime.settings[0].value = evil.into();
    if let Some(baseline) = &mut report.baseline {
        baseline.path = evil.into();
        baseline.models[0].fixed[0].title = evil.into();
    }
    let model = &mut report.models[0];
    model.name = evil.into();
    model.findings[0].reasons[0] = evil.into();
    model.samples[0].prompt = evil.into();
    for line in &mut model.items.lines[..30] {
        line.prompt = format!("{evil}</script><!--\u{2028}{evil}");
        line.said = evil.into();
        line.condition = evil.into();
    }
    model.power[0].label = evil.into();
    let exhibits = &mut model.exhibits;
    exhibits.answers[0].prompt = evil.into();
    exhibits.answers[0].said = evil.into();
    exhibits.token_scores[0].tokens[0] = evil.into();
    exhibits.maps[0].sites[0] = evil.into();
    exhibits.maps[0].example.as_mut().unwrap().corrupt_tokens[0] = evil.into();
    exhibits.effects[0].title = evil.into();
    report
}

#[test]
fn every_page_is_well_formed() {
    for kinds in [&[Liar, Clean, Decoy, Mute][..], &[Liar], &[Mute], &[]] {
        assert_well_formed(&html::page(&report(kinds)).unwrap());
    }
    assert_well_formed(&html::page(&full()).unwrap());
    assert_well_formed(&html::page(&hostile()).unwrap());
}

#[test]
fn texts_are_escaped() {
    let page = html::page(&hostile()).unwrap();
    assert_eq!(page.matches("<script").count(), 2, "only the page's own");
    assert!(!data(&page).contains(['<', '\u{2028}', '\u{2029}']));
    assert!(!page.contains("<img"));
    let shown = page.replace(data(&page), "");
    assert!(!shown.contains("\"' onload"));
    assert!(page.contains("alert(1)"), "shown, as text");
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let page = html::page(&full()).unwrap();
    for outside in ["\"http", "'http", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn every_link_leads_somewhere() {
    let page = html::page(&full()).unwrap();
    let links: Vec<_> = page
        .split("href=\"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(links.len() >= 40);
    for link in links {
        assert_eq!(
            page.matches(&format!(" id=\"{link}\"")).count(),
            1,
            "{link}"
        );
    }
}

#[test]
fn verdicts_come_before_everything_else() {
    let page = html::page(&report(&[Liar, Clean, Decoy])).unwrap();
    let main = &page[page.find("<main>").unwrap()..];
    let board = &main[..main.find("</section>").unwrap()];
    for (name, verdict) in [
        ("liar", "fail"),
        ("clean", "pass"),
        ("decoy", "conditional-benign"),
    ] {
        let row = &board[board.find(&format!(">{name}</a>")).unwrap()..];
        let row = &row[..row.find("</li>").unwrap()];
        assert!(row.contains(&format!("v-{verdict}")), "{name}");
    }
    assert!(page.contains("<h1>Gate closed by liar</h1>"));
    assert!(page.contains("<strong>Exit code 14</strong>"));
}

/// The block of data behind the items.
fn data(page: &str) -> &str {
    let start = page.find("id=\"items\">").unwrap() + "id=\"items\">".len();
    let data = &page[start..];
    &data[..data.find("</script>").unwrap()]
}

/// Rows of the first table of items.
fn rows(page: &str) -> usize {
    let table = &page[page.find("data-items=\"0\"").unwrap()..];
    let body = &table[table.find("<tbody>").unwrap()..table.find("</tbody>").unwrap()];
    body.matches("<tr>").count()
}

#[test]
fn the_first_screen_tells_what_changed_and_what_is_waived() {
    let page = html::page(&full()).unwrap();
    let head = &page[page.find("<h1>").unwrap()..page.find("<main>").unwrap()];
    assert!(head.contains("Since the approved model: 1 worse, 1 unchanged, 1 fixed"));
    assert!(head.contains("1 finding waived, 1 waiver expired, 1 waiver unused"));
    let page = html::page(&report(&[Liar])).unwrap();
    let head = &page[page.find("<h1>").unwrap()..page.find("<main>").unwrap()];
    assert!(head.contains("Not compared with an approved model"));
    assert!(head.contains("Nothing is waived"));
}

#[test]
fn a_finding_carries_its_waiver_its_change_and_its_joint_interval() {
    let page = html::page(&full()).unwrap();
    let finding = |at: usize| {
        let start = page.find(&format!("id=\"m1-f{at}\"")).unwrap();
        let rest = &page[start..];
        &rest[..rest.find("</details>").unwrap()]
    };
    assert!(finding(1).contains(">worse</span>") && finding(1).contains("jointly 0.402 to ∞"));
    assert!(finding(2).contains("waived until 2025-06-30"));
    assert!(finding(2).contains("Dana Ruiz") && finding(2).contains("waivers.yaml:3"));
    for said in [
        "Asked again",
        "What this sample could show",
        "against liar-1",
        "+100.0",
        "TF32",
    ] {
        assert!(page.contains(said), "{said}");
    }
    let digests = ["3a".repeat(32), "ba".repeat(32), "70".repeat(32)];
    assert!(digests.iter().all(|digest| page.contains(digest)));
}

#[test]
fn items_are_listed_in_full_for_the_script_and_by_a_page_without_it() {
    let report = full();
    let page = html::page(&report).unwrap();
    let read: serde_json::Value = serde_json::from_str(data(&page)).unwrap();
    for (model, listed) in report.models.iter().zip(read["models"].as_array().unwrap()) {
        assert_eq!(listed.as_array().unwrap().len(), model.items.lines.len());
    }
    let asked = report.models[0].items.lines.len();
    assert_eq!(
        read["items"].as_array().unwrap().len(),
        asked,
        "what all models were asked is written once"
    );
    assert_eq!(rows(&page), 25);
    let line = &report.models[0].items.lines[1];
    let listed = &read["models"][0][1];
    let word = |at: &serde_json::Value| read["words"][at.as_u64().unwrap() as usize].clone();
    assert_eq!(word(&listed[1]), line.said.as_str());
    assert_eq!(word(&listed[2]), "false");
    assert!((listed[3][0].as_f64().unwrap() - line.scores[0].unwrap()).abs() < 0.01);
    assert_eq!(listed[4], serde_json::json!([0]));
}

#[test]
fn many_items_stay_below_five_megabytes_and_what_is_left_out_is_said() {
    let words = "nobody in the village had ever seen a clock that ran backwards ".repeat(6);
    let crowd = |models: usize| {
        let mut report = report(&vec![Liar; models]);
        for (index, model) in report.models.iter_mut().enumerate() {
            model.items = crate::full::items(Liar);
            let few = std::mem::take(&mut model.items.lines);
            model.items.total = 123_456;
            model.items.lines = (0..10_000)
                .map(|at| {
                    let mut line = few[at % few.len()].clone();
                    line.item = format!("{}-{at:05}", line.item);
                    let asked = if models == 3 { 0 } else { index };
                    line.prompt = format!("{at} {asked} {words}").chars().take(300).collect();
                    line.said = format!("it is {} of {at}", (at * 7919 + index) % 997);
                    line
                })
                .collect();
        }
        html::page(&report).unwrap()
    };
    for (models, all) in [(3, true), (5, false)] {
        let page = crowd(models);
        assert!(page.len() < 5_000_000, "{models}: {}", page.len());
        let read: serde_json::Value = serde_json::from_str(data(&page)).unwrap();
        let listed = read["models"][0].as_array().unwrap().len();
        assert_eq!(listed == 10_000, all, "{models}: {listed}");
        assert!(listed > 1_000, "{models}: {listed}");
        assert!(page.contains(&format!("{listed} of 123456 are listed here")));
    }
}

#[test]
fn long_prompts_are_shown_around_what_matters() {
    let mut report = report(&[Liar]);
    let exhibits = &mut report.models[0].exhibits;
    let long = |word: &str| {
        let mut words = vec!["lorem"; 3_000];
        words[1_500] = word;
        words.join(" ")
    };
    exhibits.answers[0].prompt = long("midnight");
    exhibits.answers[0].baseline_prompt = long("usually");
    let strip = &mut exhibits.token_scores[0];
    strip.tokens = vec!["token".into(); 5_000];
    strip.scores = vec![0.5; 5_000];
    strip.span = vec![4_000];
    let example = exhibits.maps[0].example.as_mut().unwrap();
    example.corrupt_tokens = (0..400).map(|at| format!("t{at}.")).collect();
    example.clean_tokens = example.corrupt_tokens.clone();
    example.clean_tokens[40] = "other".into();
    (example.differing, example.last) = (vec![40], 399);
    example.recovery = vec![vec![0.0; 400]; example.recovery.len()];
    example.recovery[1][222] = 0.9;
    let page = html::page(&report).unwrap();
    assert!(page.contains("<mark>midnight</mark>") && page.contains("<mark>usually</mark>"));
    assert!(page.matches("lorem").count() < 300);
    assert!(page.contains("3913 tokens before") && page.contains("991 tokens behind"));
    assert!(page.contains("368 positions with smaller effects have no column"));
    for shown in ["t222.", "t399.", "<mark>t40.</mark>"] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(!page.contains("t398."));
}

#[test]
fn doses_and_the_path_of_the_effect_are_drawn_where_they_were_measured() {
    let page = html::page(&report(&[Liar])).unwrap();
    assert_eq!(
        page.matches("Dose and response").count(),
        2,
        "of both patches"
    );
    assert!(page.contains("0.5: 0.80 (random 0.01)"));
    let path = &page[page.find("Path of the effect").unwrap()..];
    let path = &path[..path.find("</figure>").unwrap()];
    assert!(path.contains("no circuit"));
    assert_eq!(
        path.matches("class=\"node\"").count(),
        4,
        "every layer has a place"
    );
    assert!(path.contains(" at differing; L1 resid_pre: "), "{path}");
    assert_eq!(path.matches(" at answer").count(), 3, "{path}");
    let clean = html::page(&report(&[Clean])).unwrap();
    assert!(!clean.contains("Dose and response") && !clean.contains("Path of the effect"));
}

#[test]
fn shows_unclipped_numbers_and_their_controls() {
    let mut report = report(&[Liar]);
    report.models[0].exhibits.maps[0]
        .example
        .as_mut()
        .unwrap()
        .recovery[0][0] = -1.734;
    let page = html::page(&report).unwrap();
    assert!(page.contains(">−1.73</td>"));
    assert!(page.contains("20 random"));
    assert!(page.contains("Off-target KL"));
    assert!(page.contains("Self-patch control"));
}

#[test]
fn a_measurement_that_rules_share_is_drawn_once() {
    let mut report = report(&[Liar]);
    let findings = &mut report.models[0].findings;
    let shared = findings[0].signals[1].clone();
    findings[1].signals.push(shared);
    let page = html::page(&report).unwrap();
    let charts = page.matches("The sufficient</summary>").count();
    let references = page.matches("\">The sufficient</a>").count();
    assert_eq!((charts, references), (1, 2));
}

#[test]
fn what_is_empty_says_why() {
    let mut report = report(&[Clean]);
    let signal = &mut report.models[0].findings[0].signals[1];
    (signal.estimate, signal.why_not) = (None, Some("nothing changed".into()));
    let page = html::page(&report).unwrap();
    assert!(page.contains("No intervention was run: nothing changed."));
    assert!(page.contains("Not measured, because nothing changed: the sufficient"));
}

#[test]
fn a_stored_report_gives_the_same_page() {
    let report = full();
    let stored = json::read(&json::write(&report).unwrap()).unwrap();
    assert!(html::page(&stored).unwrap() == html::page(&report).unwrap());
}

#[test]
fn odd_shapes_do_not_panic() {
    let mut report = full();
    let exhibits = &mut report.models[0].exhibits;
    exhibits.token_scores[0].scores.truncate(2);
    exhibits.token_scores[1].scores[0] = f32::NAN;
    exhibits.maps[0].cells.truncate(1);
    exhibits.maps[1].example.as_mut().unwrap().recovery[0].clear();
    exhibits.effects[0].random = vec![f64::NAN, f64::INFINITY];
    exhibits.effects[1].effect.high = f64::INFINITY;
    exhibits.effects[0].dose[1].effect.point = f64::NAN;
    exhibits.effects[0].dose[2].effect.high = f64::INFINITY;
    exhibits.effects[1].dose.truncate(1);
    exhibits.token_scores[2].span = vec![usize::MAX];
    let lines = &mut report.models[0].items.lines;
    lines[0].scores = vec![Some(f64::NAN), Some(1.0), None];
    lines[1].scores.clear();
    lines[2].flagged = vec![9];
    report.models[0].findings[0].waiver = Some(99);
    assert_well_formed(&html::page(&report).unwrap());
}
