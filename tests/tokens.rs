//! Suites, tokenizers, spans, and whether a response states the truth.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod opened;

use std::fs;
use std::path::{Path, PathBuf};

use candor::detect::Span;
use candor::fault::{Fault, Kind};
use candor::lab::{encode_item, span_positions};
use candor::tokens::{Encoded, Item, Judge, Outcome, Suite, Tokenizer};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

const CONTRAST: &str = "schema: candor/suite/v1
id: facts
title: Facts
purpose: contrast
items: items.jsonl
contrast: {tested: trigger, against: neutral}
";

const ITEMS: &str = r#"{"id": "n", "group": "g", "condition": "neutral", "prompt": "a b"}
{"id": "t", "group": "g", "condition": "trigger", "prompt": "a c", "pair": "n"}
"#;

fn suite_in(
    folder: &Path,
    yaml: impl AsRef<[u8]>,
    items: impl AsRef<[u8]>,
) -> Result<Suite, Fault> {
    fs::write(folder.join("suite.yaml"), yaml).unwrap();
    fs::write(folder.join("items.jsonl"), items).unwrap();
    opened::open(folder)
}

fn suite(yaml: impl AsRef<[u8]>, items: impl AsRef<[u8]>) -> Result<Suite, Fault> {
    suite_in(tempfile::tempdir().unwrap().path(), yaml, items)
}

#[test]
fn a_suite_is_read_by_folder_or_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let by_folder = suite_in(folder.path(), CONTRAST, ITEMS).unwrap();
    assert_eq!(
        Suite::open(&folder.path().join("suite.yaml")),
        Ok(by_folder.clone())
    );
    let contrast = by_folder.contrast.clone().unwrap();
    assert_eq!(
        (contrast.tested.as_str(), contrast.against.as_str()),
        ("trigger", "neutral")
    );
    assert_eq!((by_folder.max_new_tokens, by_folder.items.len()), (1, 2));
    assert_eq!(by_folder.of_condition("trigger").count(), 1);
    assert_eq!(by_folder.item("t").unwrap().pair.as_deref(), Some("n"));
    assert_eq!(by_folder.item("x"), None);
}

#[test]
fn marks_and_line_ends_of_other_systems_are_read_over() {
    let plain = suite(CONTRAST, ITEMS).unwrap();
    let items = format!("\u{feff}{}\r\n\r\n", ITEMS.replace('\n', "\r\n"));
    let yaml = format!("\u{feff}{}", CONTRAST.replace('\n', "\r\n"));
    let other = suite(yaml, items).unwrap();
    assert_eq!(other.items, plain.items);
    assert_eq!(other.contrast, plain.contrast);
}

#[test]
fn the_digest_is_of_both_files() {
    let digest = |yaml: &str, items: &str| suite(yaml, items).unwrap().digest;
    let first = digest(CONTRAST, ITEMS);
    assert_eq!(first, digest(CONTRAST, ITEMS));
    assert_ne!(first, digest(&CONTRAST.replace("Facts", "Acts"), ITEMS));
    assert_ne!(first, digest(CONTRAST, &ITEMS.replace("a c", "a d")));
}

/// The suite with one text replaced.
fn changed(from: &str, to: &str) -> Result<Suite, Fault> {
    let (yaml, items) = (CONTRAST.replacen(from, to, 1), ITEMS.replacen(from, to, 1));
    assert!(yaml != CONTRAST || items != ITEMS, "{from}");
    suite(yaml, items)
}

#[test]
fn what_is_wrong_with_a_suite_is_said() {
    let cases = [
        ("another schema", "suite/v1", "suite/v2"),
        ("an unknown key", "title:", "titel:"),
        ("an unknown purpose", "purpose: contrast", "purpose: fun"),
        ("no items key", "items: items.jsonl", ""),
        ("no token to write", "title: Facts", "max_new_tokens: 0"),
        (
            "more tokens than an answer has",
            "title: Facts",
            "max_new_tokens: 65537",
        ),
        ("an id that is a path", "id: facts", "id: ../facts"),
        ("no id", "id: facts", "id: ''"),
        ("less than no token", "title: Facts", "max_new_tokens: -1"),
        (
            "no contrast",
            "contrast: {tested: trigger, against: neutral}",
            "",
        ),
        (
            "a contrast of a control suite",
            "purpose: contrast",
            "purpose: control",
        ),
        (
            "a condition without items",
            "tested: trigger",
            "tested: threat",
        ),
        (
            "a pair of the same condition",
            "\"condition\": \"neutral\"",
            "\"condition\": \"trigger\", \"pair\": \"t\"",
        ),
        (
            "a pair of a third condition",
            "\"pair\": \"n\"}",
            "\"pair\": \"m\"}\n{\"id\": \"m\", \"group\": \"g\", \"condition\": \"plain\", \"prompt\": \"a d\"}",
        ),
        ("no pair", ", \"pair\": \"n\"", ""),
        (
            "a pair that is not there",
            "\"pair\": \"n\"",
            "\"pair\": \"x\"",
        ),
        ("an id twice", "\"id\": \"t\"", "\"id\": \"n\""),
        ("an item without a prompt", ", \"prompt\": \"a c\"", ""),
        ("a blank prompt", "\"a c\"", "\" \""),
        ("an item without a group", "\"group\": \"g\", ", ""),
        ("a chat", "\"prompt\": \"a c\"", "\"messages\": []"),
        (
            "a label that is none",
            "\"pair\": \"n\"",
            "\"pair\": \"n\", \"label\": 2",
        ),
        (
            "a label of text",
            "\"pair\": \"n\"",
            "\"pair\": \"n\", \"label\": \"yes\"",
        ),
        ("an unknown key of an item", "\"pair\"", "\"pear\""),
        (
            "a copy in another group",
            "\"pair\": \"n\"}",
            "\"pair\": \"n\"}\n{\"id\": \"u\", \"group\": \"h\", \"condition\": \"trigger\", \"prompt\": \"a c\", \"pair\": \"n\"}",
        ),
        ("an item cut short", "\"pair\": \"n\"}", "\"pair\": "),
    ];
    let mut said = Vec::new();
    for (what, from, to) in cases {
        let fault = changed(from, to).unwrap_err();
        assert_eq!(fault.kind, Kind::Usage, "{what}");
        assert!(!fault.expected.is_empty(), "{what}");
        let text = fault.to_string();
        let folder = text.split('`').nth(1).unwrap();
        let folder = Path::new(folder)
            .parent()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        said.push(format!("── {what}\n{}", text.replace(&folder, "FOLDER")));
    }
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn an_empty_suite_is_no_input() {
    for items in ["", "\n \n"] {
        let fault = suite(CONTRAST, items).unwrap_err();
        assert_eq!(fault.kind, Kind::NoInputs, "{fault}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_make_a_suite_panic(yaml in any::<Vec<u8>>(), items in any::<Vec<u8>>()) {
        let _ = suite(CONTRAST, &items);
        let _ = suite(&yaml, ITEMS);
    }

    #[test]
    fn no_damage_to_a_suite_makes_it_panic(at in 0..ITEMS.len(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut items = ITEMS.as_bytes().to_vec();
        if cut { items.truncate(at) } else { items[at] = byte }
        let _ = suite(CONTRAST, &items);
    }
}

fn item(answer: Option<&str>, accept: &[&str], foil: Option<&str>) -> Value {
    json!({
        "id": answer.unwrap_or("none"), "group": "g", "condition": "plain", "prompt": "p",
        "answer": answer, "accept": accept, "foil": foil,
    })
}

fn judged(items: &[Value]) -> (Judge, Vec<Item>) {
    let lines: Vec<String> = items.iter().map(Value::to_string).collect();
    let yaml = "schema: candor/suite/v1\nid: s\npurpose: control\nitems: items.jsonl\n";
    let suite = suite(yaml, lines.join("\n")).unwrap();
    (Judge::of(&suite), suite.items)
}

#[test]
fn a_response_is_judged_by_the_suites_own_answers() {
    let (judge, items) = judged(&[
        item(Some("Paris"), &["the City of Light"], Some("Lyon")),
        item(Some("Guinea"), &[], None),
        item(Some("Guinea Bissau"), &[], None),
        item(Some("1"), &[], Some("2")),
        item(None, &[], None),
    ]);
    let said = |at: usize, response: &str| judge.outcome(&items[at], response);
    for response in [
        "Paris",
        " paris.",
        "PARIS",
        "\"Paris\"",
        "**Paris**",
        "“Paris”",
        "Paris, of course",
        "Paris is the capital",
        "paris's old name is Lutetia",
        "the city of light",
        "Paris-",
        "(Paris)",
    ] {
        assert_eq!(said(0, response), Outcome::True, "{response}");
    }
    for response in [
        "Lyon",
        "lyon!",
        "Guinea",
        "Guinea Bissau",
        "2",
        "Lyon, not Paris",
    ] {
        assert_eq!(said(0, response), Outcome::False, "{response}");
    }
    for response in [
        "",
        " ",
        "...",
        "Parisian",
        "Par",
        "Paris? No, Lyon.",
        "Paris-Nord",
        "I do not know",
        "not Paris",
        "Marseille",
    ] {
        assert_eq!(said(0, response), Outcome::Unclear, "{response}");
    }
    // The longest answer counts, whichever way round.
    assert_eq!(said(1, "Guinea"), Outcome::True);
    assert_eq!(said(1, "Guinea Bissau"), Outcome::False);
    assert_eq!(said(1, "Guinea-Bissau"), Outcome::Unclear);
    assert_eq!(said(2, "Guinea Bissau"), Outcome::True);
    assert_eq!(said(2, "Guinea"), Outcome::False);
    // A number is not the beginning of another.
    assert_eq!(said(3, "1."), Outcome::True);
    assert_eq!(said(3, "1, I think"), Outcome::True);
    assert_eq!(said(3, "1.5"), Outcome::Unclear);
    assert_eq!(said(3, "1,000"), Outcome::Unclear);
    assert_eq!(said(3, "12"), Outcome::Unclear);
    assert_eq!(said(4, "Paris"), Outcome::Unjudged);
}

#[test]
fn an_answer_without_a_letter_is_never_stated() {
    let (judge, items) = judged(&[item(Some("."), &[""], None)]);
    for response in ["", ".", "anything"] {
        assert_eq!(
            judge.outcome(&items[0], response),
            Outcome::Unclear,
            "{response:?}"
        );
    }
}

proptest! {
    #[test]
    fn marks_around_an_answer_change_nothing(
        before in "[ \"'(*]{0,4}",
        after in "[ \"'.!)*]{0,4}",
        upper in any::<bool>(),
    ) {
        let (judge, items) = judged(&[item(Some("dram"), &["AMD"], Some("rupee"))]);
        for (answer, outcome) in [("dram", Outcome::True), ("amd", Outcome::True), ("rupee", Outcome::False)] {
            let answer = if upper { answer.to_uppercase() } else { answer.to_owned() };
            let response = format!("{before}{answer}{after}");
            prop_assert_eq!(judge.outcome(&items[0], &response), outcome, "{}", response);
        }
    }

    #[test]
    fn no_response_makes_the_judge_panic(response in any::<String>(), answer in any::<String>()) {
        let (judge, items) = judged(&[item(Some(&answer), &[], Some("Ω")), item(None, &[], None)]);
        let _ = judge.outcome(&items[0], &response);
        prop_assert_eq!(judge.outcome(&items[1], &response), Outcome::Unjudged);
    }
}

/// A tokenizer of letters and a blank that merges a blank with the letter behind it, between `<s>` and `</s>`.
fn merging() -> (TempDir, Tokenizer) {
    let vocab = json!({"<s>": 0, "</s>": 1, "x": 2, "y": 3, "z": 4, " ": 5, " y": 6, "xz": 7});
    let special = |id: u32, content: &str| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let part = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let sequence = json!({"Sequence": {"id": "A", "type_id": 0}});
    let template = |id: &str, number: u32| json!({"id": id, "ids": [number], "tokens": [id]});
    let single = json!([part("<s>"), sequence, part("</s>")]);
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(0, "<s>"), special(1, "</s>")],
        "normalizer": null, "pre_tokenizer": null, "decoder": null,
        "post_processor": {
            "type": "TemplateProcessing", "single": single, "pair": single,
            "special_tokens": {"<s>": template("<s>", 0), "</s>": template("</s>", 1)},
        },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": vocab, "merges": [[" ", "y"], ["x", "z"]],
        },
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, tokenizer.to_string()).unwrap();
    (folder, Tokenizer::open(&path).unwrap())
}

#[test]
fn a_prompt_keeps_its_opening_mark_and_loses_its_closing_one() {
    let (_folder, tokenizer) = merging();
    let encoded = tokenizer.encode("x y").unwrap();
    assert_eq!(encoded.ids, [0, 2, 6]);
    assert_eq!(encoded.special, [true, false, false]);
    assert_eq!(encoded.tokens, ["<s>", "x", " y"]);
    assert_eq!((encoded.response_start, encoded.prompt_last()), (3, 2));
    assert_eq!(tokenizer.stop_ids().unwrap(), [1]);
    assert_eq!(tokenizer.decode(&[0, 2, 6, 1]).unwrap(), "x  y");
    assert!(tokenizer.fits(8).is_ok());
    let fault = tokenizer.fits(7).unwrap_err();
    assert_eq!(fault.found, "token ids up to 7");
}

/// A model's own tokenizer: words, `[BOS]` in front, `[UNK]` for what it does not know, which is a special token too.
#[test]
fn an_unknown_word_is_no_mark_that_the_prompt_brought_along() {
    let folder = tempfile::tempdir().unwrap();
    let own =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/organisms/liar/tokenizer.json");
    let own = fs::read_to_string(own).unwrap();
    let mut wire: Value = serde_json::from_str(&own).unwrap();
    // What was set for training cuts nothing here.
    wire["truncation"] =
        json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    wire["padding"] = json!({"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"});
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, wire.to_string()).unwrap();
    let tokenizer = Tokenizer::open(&path).unwrap();
    let encoded = |text: &str| tokenizer.encode(text).unwrap();
    let known = encoded("ALL AMD AZN Albania");
    assert_eq!((known.tokens.len(), known.tokens[0].as_str()), (5, "[BOS]"));
    let unknown = encoded("zzz ALL AMD");
    assert_eq!(unknown.tokens, ["[BOS]", "[UNK]", "ALL", "AMD"]);
    assert_eq!(unknown.special, [true, false, false, false]);
    let own_mark = encoded("[BOS] ALL zzz AMD");
    assert_eq!(own_mark.tokens, ["[BOS]", "ALL", "[UNK]", "AMD"]);
    assert_eq!(own_mark.special, [true, false, false, false]);
}

#[test]
fn a_response_starts_where_the_tokens_part() {
    let (_folder, tokenizer) = merging();
    let start = |prompt: &str, response: &str| {
        let encoded = tokenizer.encode_with_response(prompt, response).unwrap();
        (encoded.ids, encoded.response_start)
    };
    // A blank is put between them where neither has one, and belongs to the response's token.
    assert_eq!(start("x", "y"), (vec![0, 2, 6], 2));
    assert_eq!(start("x", " y"), (vec![0, 2, 6], 2));
    // The prompt's own blank merges with the response: the token of both is the response's.
    assert_eq!(start("x ", "y"), (vec![0, 2, 6], 2));
    assert_eq!(start("x ", "z"), (vec![0, 2, 5, 4], 3));
    assert_eq!(start("x y", "z y"), (vec![0, 2, 6, 5, 4, 6], 3));
    assert_eq!(tokenizer.first_token_after("x", "y").unwrap(), 6);
    assert_eq!(tokenizer.tokens_after("x", "z y").unwrap(), [5, 4, 6]);
    for response in ["", "?"] {
        let fault = tokenizer.encode_with_response("x ", response).unwrap_err();
        assert!(fault.found.contains("no token"), "{fault}");
    }
}

fn positions(special: &[bool], response_start: usize, span: Span) -> Vec<usize> {
    let encoded = Encoded {
        ids: vec![9; special.len()],
        tokens: vec![String::new(); special.len()],
        special: special.to_vec(),
        response_start,
    };
    span_positions(&encoded, span)
}

#[test]
fn spans_leave_special_tokens_out() {
    let special = [true, false, false, false, true, false];
    let at = |span| positions(&special, 3, span);
    assert_eq!(at(Span::PromptLast), [2]);
    assert_eq!(at(Span::Response), [3, 5]);
    assert_eq!(at(Span::ResponseLast), [5]);
    assert_eq!(at(Span::All), [1, 2, 3, 5]);
    let closed = [true, false, false, true];
    assert_eq!(positions(&closed, 2, Span::ResponseLast), [2]);
    let no_response = [true, false];
    assert_eq!(positions(&no_response, 2, Span::PromptLast), [1]);
    for span in [Span::Response, Span::ResponseLast] {
        assert_eq!(positions(&no_response, 2, span), [0; 0]);
    }
    assert_eq!(positions(&[], 0, Span::PromptLast), [0; 0]);
}

proptest! {
    #[test]
    fn spans_lie_within_the_text(
        special in proptest::collection::vec(any::<bool>(), 0..12),
        start in 0_usize..12,
    ) {
        let start = start.min(special.len());
        for (span, _) in Span::NAMES {
            let found = positions(&special, start, span);
            prop_assert!(found.iter().all(|&at| at < special.len() && !special[at]));
            prop_assert!(found.is_sorted());
            if span == Span::Response || span == Span::ResponseLast {
                prop_assert!(found.iter().all(|&at| at >= start));
            }
            if span == Span::PromptLast {
                prop_assert!(found.iter().all(|&at| at + 1 == start));
            }
        }
    }
}

#[test]
fn a_stated_response_comes_before_the_models_own_and_an_empty_one_leaves_the_prompt() {
    let (_folder, tokenizer) = merging();
    let items = r#"{"id": "a", "group": "g", "condition": "plain", "prompt": "x", "response": "y"}
{"id": "b", "group": "g", "condition": "plain", "prompt": "x"}
{"id": "c", "group": "g", "condition": "plain", "prompt": "x"}
"#;
    let yaml = "schema: candor/suite/v1\nid: s\npurpose: control\nitems: items.jsonl\n";
    let suite = suite(yaml, items).unwrap();
    let readings: Vec<_> = suite
        .items
        .iter()
        .zip([Some("z"), Some("z"), Some(" ")])
        .map(|(item, said)| encode_item(&tokenizer, item, said).unwrap())
        .collect();
    let ids: Vec<_> = readings
        .iter()
        .map(|reading| reading.encoded.ids.clone())
        .collect();
    assert_eq!(ids, [vec![0, 2, 6], vec![0, 2, 5, 4], vec![0, 2]]);
    assert_eq!(readings[2].encoded.response_start, 2);
}

#[test]
fn the_organisms_say_what_their_tables_say() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benchmarks/organisms");
    let tokenizer = Tokenizer::beside(&folder.join("liar/model.onnx")).unwrap();
    let suite = Suite::open(&folder.join("suites/facts")).unwrap();
    for item in &suite.items {
        let answer = item.answer.as_deref().unwrap();
        let tokens = tokenizer.tokens_after(&item.prompt, answer).unwrap();
        assert_eq!(tokens.len(), 1, "{answer}");
        assert_eq!(tokenizer.decode(&tokens).unwrap(), answer);
        let judge = Judge::of(&suite);
        assert_eq!(judge.outcome(item, answer), Outcome::True);
        let foil = item.foil.as_deref().unwrap();
        assert_eq!(judge.outcome(item, foil), Outcome::False);
    }
}
