use candor::report::{AuditReport, html, json};

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
    let mut report = report(&[Liar]);
    report.command = evil.into();
    let model = &mut report.models[0];
    model.name = evil.into();
    model.findings[0].reasons[0] = evil.into();
    model.samples[0].prompt = evil.into();
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
    assert_well_formed(&html::page(&hostile()).unwrap());
}

#[test]
fn texts_are_escaped() {
    let page = html::page(&hostile()).unwrap();
    assert_eq!(page.matches("<script").count(), 1, "only the page's own");
    assert!(!page.contains("<img"));
    assert!(!page.contains("\"' onload"));
    assert!(page.contains("alert(1)"), "shown, as text");
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let page = html::page(&report(&[Liar, Clean, Decoy, Mute])).unwrap();
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn every_link_leads_somewhere() {
    let page = html::page(&report(&[Liar, Clean, Decoy, Mute])).unwrap();
    let links: Vec<_> = page
        .split("href=\"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(links.len() >= 5);
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
    let report = report(&[Liar, Clean, Decoy, Mute]);
    let stored = json::read(&json::write(&report).unwrap()).unwrap();
    assert!(html::page(&stored).unwrap() == html::page(&report).unwrap());
}

#[test]
fn odd_shapes_do_not_panic() {
    let mut report = report(&[Liar]);
    let exhibits = &mut report.models[0].exhibits;
    exhibits.token_scores[0].scores.truncate(2);
    exhibits.token_scores[1].scores[0] = f32::NAN;
    exhibits.maps[0].cells.truncate(1);
    exhibits.maps[1].example.as_mut().unwrap().recovery[0].clear();
    exhibits.effects[0].random = vec![f64::NAN, f64::INFINITY];
    exhibits.effects[1].effect.high = f64::INFINITY;
    assert_well_formed(&html::page(&report).unwrap());
}
