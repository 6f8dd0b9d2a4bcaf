//! The page in a browser, where one is installed: it runs without complaint, asks nothing of the network, and does what it offers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use candor::report::html;
use serde_json::Value;

use crate::full::full;
use crate::synthetic::Kind::Liar;
use crate::synthetic::report;

fn browser() -> Option<PathBuf> {
    let asked = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path)
        .flat_map(|folder| {
            ["chromium", "chromium-browser", "google-chrome"].map(|n| folder.join(n))
        })
        .find(|program| program.is_file());
    let found = asked.or(installed);
    if found.is_none() {
        println!("skipped: no chromium");
    }
    found
}

/// Runs the browser on `page` with a profile of its own and every name unresolvable.
fn visit(browser: &Path, folder: &Path, page: &str, arguments: &[&str]) -> Output {
    let file = folder.join("report.html");
    std::fs::write(&file, page).unwrap();
    Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .args(arguments)
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap()
}

/// What the page or its policy complained of.
fn complaints(output: &Output) -> Vec<String> {
    let log = String::from_utf8_lossy(&output.stderr);
    let lines = log.lines().filter(|line| line.contains("CONSOLE"));
    lines.map(str::to_owned).collect()
}

/// What `script`, the body of an async function that runs behind the page's own script, returns. `sleep(ms)` lets the page go on.
fn asked(page: &str, script: &str) -> Option<Value> {
    let browser = browser()?;
    let folder = tempfile::tempdir().unwrap();
    let probe = format!(
        "<script>addEventListener(\"load\", async () => {{
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const answer = await (async () => {{ {script} }})().catch((error) => ({{ error: String(error) }}));
  const said = document.createElement(\"output\");
  said.id = \"said\";
  said.textContent = encodeURIComponent(JSON.stringify(answer));
  document.body.append(said);
}});</script></body>"
    );
    let (most, end) = page.rsplit_once("</body>").unwrap();
    let page = format!("{most}{probe}{end}");
    let waits = ["--virtual-time-budget=20000", "--dump-dom"];
    let seen = visit(&browser, folder.path(), &page, &waits);
    assert_eq!(complaints(&seen), Vec::<String>::new());
    let dom = String::from_utf8_lossy(&seen.stdout);
    let said = dom.split("id=\"said\">").nth(1).expect("the page answers");
    let said = said.split('<').next().unwrap();
    Some(serde_json::from_slice(&unescaped(said)).unwrap())
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            let digits = std::str::from_utf8(&digits).unwrap();
            plain.push(u8::from_str_radix(digits, 16).unwrap());
        } else {
            plain.push(byte);
        }
    }
    plain
}

#[test]
fn complaints_are_seen_where_there_are_any() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = html::page(&report(&[Liar])).unwrap();
    let loads = page.replace(
        "<main>",
        "<main><img src=\"https://elsewhere.example/x.png\">",
    );
    assert_ne!(page, loads);
    let seen = visit(&browser, folder.path(), &loads, &["--dump-dom"]);
    assert!(
        !complaints(&seen).is_empty(),
        "the page's policy forbids it"
    );
}

#[test]
fn nothing_hostile_runs() {
    let page = html::page(&crate::html::hostile()).unwrap();
    let script = "
        document.querySelector('.items').open = true;
        await sleep(100);
        return {
            images: document.images.length,
            scripts: document.scripts.length,
            shown: document.querySelector('.itemlist .text').textContent,
        };";
    let Some(said) = asked(&page, script) else {
        return;
    };
    assert_eq!(said["images"], 0);
    assert_eq!(said["scripts"], 3, "the page's, its data, and this test's");
    assert!(said["shown"].as_str().unwrap().contains("<script>alert(1)"));
}

#[test]
fn a_map_tells_its_values_to_mouse_and_keyboard() {
    let script = "
        const maps = Array.from(document.querySelectorAll('[data-map]'));
        const stops = maps.map((map) => map.querySelectorAll('td[tabindex=\"0\"]').length);
        const [mean, one] = maps;
        const readout = mean.closest('.mapset').querySelector('.readout');
        const told = [readout.textContent];
        const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        mean.querySelector('td[tabindex=\"0\"]').focus();
        told.push(readout.textContent);
        press('ArrowRight'); press('ArrowDown');
        told.push(readout.textContent);
        press('ArrowLeft'); press('ArrowLeft');
        told.push(readout.textContent);
        one.tBodies[0].rows[3].cells[5].dispatchEvent(new PointerEvent('pointerover', { bubbles: true }));
        told.push(readout.textContent);
        return { stops, told };";
    let Some(said) = asked(&html::page(&full()).unwrap(), script) else {
        return;
    };
    let stops = said["stops"].as_array().unwrap();
    assert_eq!(stops.len(), 8, "two models, two modes, a mean and a pair");
    assert!(stops.iter().all(|n| n == 1), "one tab stop each: {stops:?}");
    let told: Vec<&str> = said["told"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert!(told[0].starts_with("Point at a cell"));
    assert!(told[1].starts_with("blocks.3.hook_resid_pre at differing tokens: effect "));
    assert!(told[2].starts_with("blocks.2.hook_resid_pre at other tokens: effect "));
    assert!(told[2].contains("95 % interval"));
    assert!(told[3].starts_with("blocks.2.hook_resid_pre at differing tokens: "));
    assert!(told[4].starts_with("blocks.0.hook_resid_pre at “midnight”: effect "));
}

/// Opens the first list and says what it shows.
const LIST: &str = "
    const list = document.querySelector('.items');
    list.open = true;
    await sleep(100);
    const form = list.querySelector('form');
    const rows = () => Array.from(list.querySelectorAll('tbody tr'));
    const column = (at) => rows().map((row) => row.cells[at].textContent.trim());
    const count = () => list.querySelector('.count').textContent;
    const set = (name, value) => {
        form.elements[name].value = value;
        form.elements[name].dispatchEvent(new Event('input', { bubbles: true }));
    };
    const press = (name) => list.querySelector(`.pages [value=${name}]`).click();
    const off = () => Array.from(list.querySelectorAll('.pages button'), (button) => button.disabled);
    const sort = (at) => { const head = list.querySelectorAll('thead th')[at]; head.querySelector('button').click(); return head.getAttribute('aria-sort'); };
";

#[test]
fn items_are_filtered_by_every_field() {
    let script = format!(
        "{LIST}
        const all = count();
        const found = {{}};
        for (const [name, value] of [['outcome', 'false'], ['suite', 'control'], ['condition', 'trigger'], ['detectors', '0'], ['detectors', 'unstable'], ['text', 'JAPAN'], ['text', 'trigger-003'], ['text', 'no such text']]) {{
            set(name, value);
            found[`${{name}} ${{value}}`] = [count(), new Set(column(1)).size, new Set(column(3)).size];
            set(name, '');
        }}
        set('outcome', 'false'); set('text', 'japan');
        return {{ all, found, both: count(), judged: [...new Set(column(3))], cleared: (set('outcome', ''), set('text', ''), count()) }};"
    );
    let report = full();
    let lines = &report.models[0].items.lines;
    let Some(said) = asked(&html::page(&report).unwrap(), &script) else {
        return;
    };
    let total = lines.len();
    assert_eq!(said["all"], format!("1 to 25 of {total} items"));
    assert_eq!(said["cleared"], said["all"]);
    let matches = |chosen: &dyn Fn(&candor::report::ItemLine) -> bool| {
        let n = lines.iter().filter(|line| chosen(line)).count();
        format!("1 to {} of {n} that match, out of {total} items", n.min(25))
    };
    let found = |field: &str| said["found"][field].clone();
    let japan = |line: &candor::report::ItemLine| line.prompt.contains("Japan");
    let wrong = |line: &candor::report::ItemLine| line.outcome == candor::evidence::Outcome::False;
    assert_eq!(found("outcome false")[0], matches(&wrong));
    assert_eq!(found("outcome false")[2], 1, "one judgement");
    assert_eq!(
        found("suite control")[0],
        matches(&|line| line.suite == "control")
    );
    assert_eq!(
        found("condition trigger")[0],
        matches(&|line| line.condition == "trigger")
    );
    assert_eq!(found("condition trigger")[1], 1, "one condition");
    assert_eq!(
        found("detectors 0")[0],
        matches(&|line| !line.flagged.is_empty())
    );
    assert_eq!(
        found("detectors unstable")[0],
        matches(&|line| !line.unstable.is_empty())
    );
    assert_eq!(found("text JAPAN")[0], matches(&japan), "whatever the case");
    assert_eq!(
        found("text trigger-003")[0],
        matches(&|line| line.item == "trigger-003"),
        "by its id"
    );
    assert_eq!(
        found("text no such text")[0],
        format!("No item matches, out of {total}")
    );
    assert_eq!(said["both"], matches(&|line| wrong(line) && japan(line)));
    assert_eq!(said["judged"], serde_json::json!(["false"]));
}

#[test]
fn items_are_paged_and_sorted() {
    let script = format!(
        "{LIST}
        const start = [count(), off(), column(0)[0]];
        press('on');
        const second = [count(), off(), column(0)[0]];
        press('last');
        const last = [count(), off(), rows().length];
        press('back'); press('first');
        const back = column(0)[0];
        const scores = () => column(4).map((text) => parseFloat(text.replace('−', '-')));
        const up = [sort(4), scores()];
        const down = [sort(4), scores()];
        const by_item = [sort(0), column(0)];
        const heads = Array.from(list.querySelectorAll('[aria-sort]')).length;
        return {{ start, second, last, back, up, down, by_item, heads }};"
    );
    let report = full();
    let lines = &report.models[0].items.lines;
    let Some(said) = asked(&html::page(&report).unwrap(), &script) else {
        return;
    };
    let total = lines.len();
    let ends = |first: bool, last: bool| serde_json::json!([first, first, last, last]);
    assert_eq!(said["start"][1], ends(true, false));
    assert_eq!(said["start"][2], lines[0].item.as_str());
    assert_eq!(said["second"][0], format!("26 to 50 of {total} items"));
    assert_eq!(said["second"][1], ends(false, false));
    assert_eq!(said["second"][2], lines[25].item.as_str());
    assert_eq!(said["last"][1], ends(false, true));
    assert_eq!(said["last"][2], total - (total - 1) / 25 * 25);
    assert_eq!(said["back"], said["start"][2]);
    let sorted = |found: &Value, rising: bool| {
        let scores = found.as_array().unwrap().iter();
        let scores: Vec<f64> = scores.filter_map(Value::as_f64).collect();
        assert!(scores.len() > 10, "{scores:?}");
        let ordered = |pair: &[f64]| (pair[0] <= pair[1]) == rising || pair[0] == pair[1];
        assert!(scores.windows(2).all(ordered), "{scores:?}");
    };
    assert_eq!(
        (said["up"][0].as_str(), said["down"][0].as_str()),
        (Some("ascending"), Some("descending"))
    );
    sorted(&said["up"][1], true);
    sorted(&said["down"][1], false);
    assert_eq!(said["by_item"][1][0], "control-000");
    assert_eq!(said["heads"], 1);
}

#[test]
fn every_link_shows_what_it_leads_to() {
    let script = "
        const links = Array.from(document.querySelectorAll('main a[href], header a[href]'));
        const lost = [];
        for (const link of links) {
            document.querySelectorAll('details').forEach((one) => { one.open = false; });
            const target = document.getElementById(link.hash.slice(1));
            link.click();
            if (!target?.checkVisibility()) lost.push(link.outerHTML);
        }
        await sleep(200);
        const counts = Array.from(document.querySelectorAll('a[data-outcome]'));
        const wrong = counts.filter((link) => {
            link.click();
            const list = document.getElementById(link.hash.slice(1));
            const { suite, condition, outcome } = list.querySelector('form').elements;
            return suite.value !== link.dataset.suite || condition.value !== link.dataset.condition || outcome.value !== link.dataset.outcome;
        });
        const ids = Array.from(document.querySelectorAll('[id]'), (one) => one.id);
        return { links: links.length, lost, counts: counts.length, wrong: wrong.map((link) => link.outerHTML), twice: ids.filter((id, at) => ids.indexOf(id) !== at) };";
    let Some(said) = asked(&html::page(&full()).unwrap(), script) else {
        return;
    };
    assert!(said["links"].as_u64().unwrap() > 40, "{said}");
    assert!(said["counts"].as_u64().unwrap() >= 4, "{said}");
    for nothing in ["lost", "wrong", "twice"] {
        assert_eq!(said[nothing], serde_json::json!([]), "{nothing}");
    }
}

/// axe-core's rules, over everything unfolded.
#[test]
fn a_checker_of_accessibility_has_nothing_to_say() {
    let Some(folder) = crate::validators::validators() else {
        return;
    };
    let axe = std::fs::read_to_string(folder.join("node_modules/axe-core/axe.min.js")).unwrap();
    let script = "
        document.querySelectorAll('details').forEach((one) => { one.open = true; });
        await sleep(300);
        const found = await axe.run(document, { resultTypes: ['violations'], preload: false });
        return {
            rules: found.passes.length,
            violations: found.violations.map((one) => [one.id, one.nodes.map((node) => node.html.slice(0, 200))]),
        };";
    let page = html::page(&full()).unwrap();
    let checked = |page: &str| {
        let page = page.replace("</head>", &format!("<script>{axe}</script></head>"));
        asked(&page, script)
    };
    let Some(said) = checked(&page) else { return };
    assert!(said["rules"].as_u64().unwrap() > 20, "{said}");
    assert_eq!(said["violations"], serde_json::json!([]));
    let pale = page.replace(
        "<main>",
        "<main><p style=\"color:#ddd;background:#fff\">pale</p>",
    );
    let said = checked(&pale).unwrap();
    assert_eq!(said["violations"][0][0], "color-contrast", "{said}");
}

#[test]
fn a_narrow_screen_is_not_wider_than_itself() {
    let page = html::page(&full()).unwrap();
    let framed = |page: &str| {
        let page = page.replace('&', "&amp;").replace('"', "&quot;");
        format!(
            "<!doctype html><body><iframe width=\"405\" height=\"844\" style=\"border:0\" srcdoc=\"{page}\"></iframe></body>"
        )
    };
    let script = "
        await sleep(300);
        const frame = document.querySelector('iframe');
        const inside = frame.contentDocument;
        inside.querySelectorAll('details').forEach((one) => { one.open = true; });
        await sleep(300);
        return { room: inside.documentElement.clientWidth, width: inside.documentElement.scrollWidth, height: inside.documentElement.scrollHeight };";
    let Some(said) = asked(&framed(&page), script) else {
        return;
    };
    let number = |said: &Value, name: &str| said[name].as_u64().unwrap();
    let (room, width) = (number(&said, "room"), number(&said, "width"));
    assert!((380..=405).contains(&room), "a telephone's: {room}");
    assert_eq!(width, room);
    assert!(said["height"].as_u64().unwrap() > 5_000, "it was laid out");
    let wide = page.replace("<main>", "<main><div style=\"width:500px\">wide</div>");
    let said = asked(&framed(&wide), script).unwrap();
    assert!(
        number(&said, "width") > number(&said, "room"),
        "what is wider is seen"
    );
}

#[test]
fn paper_has_every_finding_and_screens_are_left_as_they_were() {
    let page = html::page(&full()).unwrap();
    let script = "
        const open = () => Array.from(document.querySelectorAll('.finding, .evidence, .fold'), (one) => one.open);
        const before = open();
        dispatchEvent(new Event('beforeprint'));
        const during = open();
        dispatchEvent(new Event('afterprint'));
        return { before, during, after: open() };";
    let Some(said) = asked(&page, script) else {
        return;
    };
    assert!(said["before"].as_array().unwrap().contains(&false.into()));
    assert!(!said["during"].as_array().unwrap().contains(&false.into()));
    assert_eq!(said["before"], said["after"]);

    let folder = tempfile::tempdir().unwrap();
    let paper = folder.path().join("report.pdf");
    let to = format!("--print-to-pdf={}", paper.display());
    visit(&browser().unwrap(), folder.path(), &page, &[&to]);
    let printed = std::fs::read(&paper).unwrap();
    assert!(printed.starts_with(b"%PDF"));
    let Ok(text) = Command::new("pdftotext").arg(&paper).arg("-").output() else {
        println!("skipped: no pdftotext to read the paper with");
        return;
    };
    let text = String::from_utf8_lossy(&text.stdout);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for model in &full().models {
        for finding in &model.findings {
            for said in [&finding.fingerprint, &finding.reasons[0]] {
                assert!(text.contains(said.as_str()), "{said}");
            }
        }
    }
}
