use proptest::prelude::*;

use crate::scenarios::{HOSTILE, all, everything, incomplete, render, waived};
use crate::synthetic::Kind::{Clean, Liar, Mute};
use crate::synthetic::report;

/// An annotation as a runner reads it: command, properties, message.
fn read(line: &str) -> (String, Vec<(String, String)>, String) {
    let rest = line.strip_prefix("::").unwrap();
    let (head, message) = rest.split_once("::").unwrap();
    let (command, properties) = head.split_once(' ').unwrap();
    let plain = |text: &str| {
        let text = text.replace("%0D", "\r").replace("%0A", "\n");
        text.replace("%25", "%")
    };
    let properties = properties.split(',').map(|property| {
        let (name, value) = property.split_once('=').unwrap();
        let value = value.replace("%3A", ":").replace("%2C", ",");
        (name.to_owned(), plain(&value))
    });
    (command.to_owned(), properties.collect(), plain(message))
}

fn commands(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with("::"));
    lines.map(|line| read(line).0).collect()
}

#[test]
fn reads_like_this() {
    insta::assert_snapshot!("annotations", render(&everything(), "github"));
}

#[test]
fn the_gravest_come_first_and_ten_at_most() {
    assert_eq!(commands(&render(&report(&[Liar]), "github"))[0], "error");
    assert_eq!(commands(&render(&report(&[Mute]), "github"))[0], "warning");
    let first = render(&incomplete(), "github");
    assert!(
        first.starts_with("::error title=Candor%3A incomplete::"),
        "{first}"
    );
    assert_eq!(
        render(&report(&[Clean]), "github"),
        "Candor: nothing to annotate.\n"
    );
    let waived = render(&waived(), "github");
    assert!(
        waived.contains("::notice ") && waived.contains("::warning title=Candor%3A waiver::"),
        "{waived}"
    );
    let mut many = report(&[Liar]);
    let finding = many.models[0].findings[0].clone();
    many.models[0].findings = vec![finding; 14];
    let text = render(&many, "github");
    assert_eq!(commands(&text).len(), 10);
    assert!(
        text.ends_with("Candor: 4 more annotations in the report.\n"),
        "{text}"
    );
}

#[test]
fn hostile_texts_begin_no_command() {
    for (name, report) in all() {
        let text = render(&report, "github");
        let all = text.lines().count();
        assert!(all <= 11, "{name}");
        for line in text.lines().filter(|line| !line.starts_with("Candor: ")) {
            let (command, properties, _) = read(line);
            assert!(
                ["error", "warning", "notice"].contains(&command.as_str()),
                "{name}: {line}"
            );
            for (property, _) in properties {
                assert!(
                    ["file", "line", "title"].contains(&property.as_str()),
                    "{name}: {line}"
                );
            }
        }
        assert!(!text.contains(['\r', '\u{1b}', '\u{0}']), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What the runner reads is what was said.
    #[test]
    fn texts_come_back(text in "[a-z%:,=\n]{1,40}") {
        let mut report = report(&[Liar]);
        report.models[0].findings[0].reasons = vec![text.clone()];
        report.models[0].findings[0].file.clone_from(&text);
        let written = render(&report, "github");
        let (_, properties, message) = read(written.lines().next().unwrap());
        prop_assert_eq!(&properties[0].1, &text);
        let expected = format!("{text}\nGate: ");
        prop_assert!(message.starts_with(&expected));
    }
}

#[test]
fn percent_signs_are_not_read_twice() {
    let mut report = report(&[Liar]);
    report.models[0].findings[0].reasons = vec![HOSTILE.into()];
    let text = render(&report, "github");
    assert!(text.contains("::error::no %250A%2525"), "{text}");
}
