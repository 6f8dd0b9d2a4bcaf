//! The page in a browser, where one is installed: it runs without complaint and asks nothing of the network.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use candor::report::html;

use crate::synthetic::Kind::{Clean, Decoy, Liar, Mute};
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

#[test]
fn runs_without_complaint_and_sets_the_maps_up_for_the_keyboard() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = html::page(&report(&[Liar, Clean, Decoy, Mute])).unwrap();
    let maps = page.matches("data-map>").count();
    let seen = visit(&browser, folder.path(), &page, &["--dump-dom"]);
    assert_eq!(complaints(&seen), Vec::<String>::new());
    let dom = String::from_utf8_lossy(&seen.stdout);
    assert!(maps > 0 && dom.contains("</html>"), "{dom}");
    let cells = dom.split("<td ").filter_map(|rest| rest.split('>').next());
    let stops = cells.filter(|cell| cell.contains("tabindex=\"0\"")).count();
    assert_eq!(stops, maps, "one tab stop for each map");
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
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = html::page(&crate::html::hostile()).unwrap();
    let seen = visit(&browser, folder.path(), &page, &["--dump-dom"]);
    assert_eq!(complaints(&seen), Vec::<String>::new());
    let dom = String::from_utf8_lossy(&seen.stdout);
    assert!(dom.contains("&lt;script&gt;") && !dom.contains("<img"));
}

#[test]
fn prints_with_every_finding_unfolded() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = html::page(&report(&[Liar])).unwrap();
    let paper = folder.path().join("report.pdf");
    let to = format!("--print-to-pdf={}", paper.display());
    visit(&browser, folder.path(), &page, &[&to]);
    let printed = std::fs::read(&paper).unwrap();
    assert!(printed.starts_with(b"%PDF"));
}
