//! What is wrong with a source is said, with the columns that are there.

use candor::fault::Kind;
use candor::tokens::Suite;

use super::{told, write};

const TEXT: &[u8] = b"statement,label,label\nx,1,1\n";
const MAP: &str = r#"map: {prompt: "{statement}"}"#;

fn refused(files: &[(&str, &[u8])], sources: &[(&str, &str)]) -> (Kind, String) {
    let folder = tempfile::tempdir().unwrap();
    let fault = write(&folder, files, sources).unwrap_err();
    assert!(!fault.expected.is_empty(), "{fault}");
    (fault.kind, told(&fault, folder.path()))
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn what_is_wrong_with_a_source_is_said() {
    let usage: [(&str, &str, &[u8], &str); 24] = [
        (
            "a misspelt column",
            "a.csv",
            TEXT,
            r#"map: {prompt: "{statment}"}"#,
        ),
        (
            "an unmapped column",
            "a.csv",
            TEXT,
            r#"map: {prompt: "{text}"}"#,
        ),
        (
            "a column in another case",
            "a.csv",
            TEXT,
            r#"map: {prompt: "{Statement}"}"#,
        ),
        (
            "a column that is there twice",
            "a.csv",
            TEXT,
            r#"map: {prompt: "{statement}", label: "{label}"}"#,
        ),
        (
            "a brace alone",
            "a.csv",
            TEXT,
            r#"map: {prompt: "{statement"}"#,
        ),
        (
            "a closing brace alone",
            "a.csv",
            TEXT,
            r#"map: {prompt: "statement}"}"#,
        ),
        ("every no row", "a.csv", TEXT, r#"map: {prompt: "{#/0}"}"#),
        ("no prompt", "a.csv", TEXT, "map: {label: 1}"),
        ("no map", "a.csv", TEXT, "dataset: a"),
        (
            "two prompts",
            "a.csv",
            TEXT,
            "map: {prompt: p, messages: [{role: user, content: p}]}",
        ),
        (
            "an unknown key of the map",
            "a.csv",
            TEXT,
            r#"map: {prompts: "{statement}"}"#,
        ),
        (
            "an unknown key of a source",
            "a.csv",
            TEXT,
            r#"maps: {prompt: "{statement}"}"#,
        ),
        (
            "an unknown key of a field",
            "a.csv",
            TEXT,
            r#"map: {prompt: {form: "{statement}"}}"#,
        ),
        (
            "each in the map",
            "a.csv",
            TEXT,
            r#"map: {prompt: p, each: "{statement}"}"#,
        ),
        (
            "each without a list",
            "a.csv",
            TEXT,
            r#"map: {prompt: "{each}"}"#,
        ),
        (
            "a label that means nothing",
            "a.csv",
            TEXT,
            r#"map: {prompt: p, label: {from: "{statement}", values: {x: 2}}}"#,
        ),
        (
            "a value twice",
            "a.csv",
            TEXT,
            r#"map: {prompt: p, label: {from: "{statement}", values: {x: 1, "x": 0}}}"#,
        ),
        (
            "an empty split",
            "a.csv",
            TEXT,
            r#"map: {prompt: {from: "{statement}", split: ""}}"#,
        ),
        (
            "a part of nothing",
            "a.csv",
            TEXT,
            r#"map: {prompt: {from: "{statement}", part: 2}}"#,
        ),
        (
            "a filter's column",
            "a.csv",
            TEXT,
            "map: {prompt: p}, only: [{column: stat, values: [1]}]",
        ),
        ("an unknown format", "a.txt", TEXT, MAP),
        (
            "a delimiter that cannot be",
            "a.csv",
            TEXT,
            r#"delimiter: "\"", map: {prompt: p}"#,
        ),
        (
            "a delimiter of JSONL",
            "a.jsonl",
            b"{}",
            r#"delimiter: ";", map: {prompt: p}"#,
        ),
        (
            "ids that repeat",
            "a.csv",
            b"statement\nx\ny\n",
            r#"map: {prompt: "{statement}", id: one}"#,
        ),
    ];
    let mut said = Vec::new();
    for (what, file, bytes, source) in usage {
        let (kind, text) = refused(&[(file, bytes)], &[(file, source)]);
        assert_eq!(kind, Kind::Usage, "{what}");
        said.push(format!("── {what}\n{text}"));
    }
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn files_that_are_no_tables_are_refused() {
    let files: [(&str, &str, &[u8]); 8] = [
        ("Latin-1", "a.csv", b"statement\nok\ncaf\xe9\n"),
        ("UTF-16", "a.csv", b"\xff\xfes\0t\0"),
        ("UTF-8 cut short", "a.csv", b"statement\n\xe2\x82"),
        (
            "a quotation that is never closed",
            "a.csv",
            b"statement\nok\n\"open\nx\ny\n",
        ),
        (
            "JSON that is cut short",
            "a.jsonl",
            b"{\"statement\": \"x\"}\n{\"statement\": ",
        ),
        ("a list in JSONL", "a.jsonl", b"[1, 2]\n"),
        (
            "a list of objects on one line",
            "a.jsonl",
            b"[{\"statement\": \"x\"}]\n",
        ),
        (
            "two objects on one line",
            "a.jsonl",
            b"{\"a\": 1} {\"a\": 2}\n",
        ),
    ];
    let mut said = Vec::new();
    for (what, file, bytes) in files {
        let (kind, text) = refused(&[(file, bytes)], &[(file, MAP)]);
        assert_eq!(kind, Kind::Usage, "{what}");
        said.push(format!("── {what}\n{text}"));
    }
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn sources_without_an_item_are_no_input() {
    let files: [(&str, &str, &[u8], &str); 5] = [
        ("0 bytes", "a.csv", b"", MAP),
        ("a mark alone", "a.csv", "\u{feff}".as_bytes(), MAP),
        ("a header alone", "a.csv", b"statement,label\n", MAP),
        ("no object", "a.jsonl", b"\n \n", MAP),
        (
            "no row that fits",
            "a.csv",
            b"statement,label\n,1\nx,Neither\n,\n",
            r#"map: {prompt: "{statement}", label: "{label}"}"#,
        ),
    ];
    let mut said = Vec::new();
    for (what, file, bytes, source) in files {
        let (kind, text) = refused(&[(file, bytes)], &[(file, source)]);
        assert_eq!(kind, Kind::NoInputs, "{what}");
        said.push(format!("── {what}\n{text}"));
    }
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn files_that_cannot_be_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("a.csv")).unwrap();
    let mut said = Vec::new();
    for (what, file) in [("a folder", "a.csv"), ("nothing", "b.csv")] {
        let fault = write(&folder, &[], &[(file, MAP)]).unwrap_err();
        assert_eq!(fault.kind, Kind::Usage);
        said.push(format!("── {what}\n{}", told(&fault, folder.path())));
    }
    // A file of holes takes no room on the disk.
    let large = std::fs::File::create(folder.path().join("c.csv")).unwrap();
    large.set_len(1 << 30).unwrap();
    let fault = write(&folder, &[], &[("c.csv", MAP)]).unwrap_err();
    said.push(format!("── 1 GiB\n{}", told(&fault, folder.path())));
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn items_and_sources_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    for keys in [
        "",
        "items: items.jsonl\nsources: [{file: a.csv}]\n",
        "sources: []\n",
        "sources: a.csv\n",
    ] {
        let yaml = format!("schema: candor/suite/v1\nid: s\npurpose: control\n{keys}");
        std::fs::write(folder.path().join("suite.yaml"), yaml).unwrap();
        let fault = Suite::open(folder.path()).unwrap_err();
        assert_eq!(fault.kind, Kind::Usage);
        said.push(told(&fault, folder.path()));
    }
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn objects_with_ever_new_keys_are_refused() {
    let lines: Vec<String> = (0..2000)
        .map(|row| format!("{{\"k{row}\": \"x\"}}"))
        .collect();
    let lines = lines.join(
        "
",
    );
    let (kind, text) = refused(
        &[("a.jsonl", lines.as_bytes())],
        &[("a.jsonl", "map: {prompt: \"{k1}\"}")],
    );
    assert_eq!(kind, Kind::Usage);
    assert!(text.contains("line 1025"), "{text}");
}
