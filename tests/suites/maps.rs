//! Every trap of public data sets, and every key of the map.

use candor::tokens::{Labels, Polarity, Prompt, Repeated, Skipped, Suite};

use super::{grouped, prompts, suite_of, write};

const STATEMENT: &str = r#"map: {prompt: "{statement}", label: "{label}"}"#;

fn labels(suite: &Suite) -> Vec<Option<u8>> {
    suite.items.iter().map(|item| item.label).collect()
}

fn skipped(reason: &str, rows: usize, lines: &[u64]) -> Skipped {
    Skipped {
        reason: reason.to_owned(),
        rows,
        lines: lines.to_vec(),
    }
}

#[test]
fn marks_and_line_ends_of_other_systems_change_nothing() {
    let plain = suite_of("a.csv", "statement,label\nx,1\ny,0\n", STATEMENT).unwrap();
    assert_eq!(prompts(&plain), ["x", "y"]);
    assert_eq!(labels(&plain), [Some(1), Some(0)]);
    assert_eq!(plain.items[0].id, "a-1");
    assert_eq!(plain.items[0].dataset.as_deref(), Some("a"));
    assert_eq!(plain.items[0].condition, "plain");
    for other in [
        "\u{feff}statement,label\nx,1\ny,0\n",
        "statement,label\r\nx,1\r\ny,0\r\n",
        "\u{feff}statement,label\r\nx,1\r\ny,0",
        "statement,label\rx,1\ry,0",
        "\nstatement,label\n\nx,1\n\n\ny,0\n\n",
        "\"statement\",\"label\"\n\"x\",\"1\"\n\"y\",\"0\"",
    ] {
        let other = suite_of("a.csv", other, STATEMENT).unwrap();
        assert_eq!(other.items, plain.items);
    }
}

#[test]
fn quotation_marks_line_breaks_and_delimiters_stay_inside_their_cell() {
    let text = "statement,label\n\"He said \"\"no\"\",\ntwice\",1\nplain,0\n,1\n";
    let suite = suite_of("a.csv", text, STATEMENT).unwrap();
    assert_eq!(prompts(&suite), ["He said \"no\",\ntwice", "plain"]);
    // The second row begins in line 4, the third in line 5.
    let source = &suite.sources[0];
    assert_eq!(source.skipped, [skipped("`statement` is empty", 1, &[5])]);
    assert_eq!((source.rows, source.left_out(), source.items), (3, 1, 2));
}

#[test]
fn labels_are_read_as_numbers_and_others_are_counted() {
    let text = "statement,label\na,1.0\nb,0.0\nc,\nd,True\ne,FALSE\nf,Neither\ng, 1 \nh,2\ni,Neither\nj,nan\nk,-0\n";
    let suite = suite_of("a.csv", text, STATEMENT).unwrap();
    assert_eq!(
        labels(&suite),
        [Some(1), Some(0), Some(1), Some(0), Some(1), Some(0)]
    );
    let source = &suite.sources[0];
    assert_eq!(
        source.skipped,
        [
            skipped("`label` is empty", 1, &[4]),
            skipped("label \"Neither\" is neither 0 nor 1", 2, &[7, 10]),
            skipped("label \"2\" is neither 0 nor 1", 1, &[9]),
            skipped("label \"nan\" is neither 0 nor 1", 1, &[11]),
        ]
    );
    let counted = Labels {
        one: 3,
        zero: 3,
        none: 0,
    };
    assert_eq!(source.labels, counted);
}

#[test]
fn a_third_label_and_an_unnamed_first_column() {
    // As pandas writes an index, and common_claim has three labels.
    let text =
        ",examples,label\n0,Water is wet.,True\n1,Fire is cold.,False\n2,Nobody knows.,Neither\n";
    let map = r#"map: {id: "claim {column 1}", prompt: "{examples}", label: {from: "{label}", values: {"True": 1, "False": 0}}}"#;
    let suite = suite_of("a.csv", text, map).unwrap();
    assert_eq!(labels(&suite), [Some(1), Some(0)]);
    assert_eq!(suite.items[1].id, "claim 1");
    assert_eq!(
        suite.sources[0].skipped,
        [skipped("label \"Neither\" is not in `values`", 1, &[4])]
    );
    // Unquoted, the keys are truth values of YAML, and mean the same.
    let unquoted = map
        .replace("\"True\"", "True")
        .replace("\"False\"", "False");
    let other = suite_of("a.csv", text, &unquoted).unwrap();
    assert_eq!(other.items, suite.items);
}

#[test]
fn a_statement_and_its_negation_share_a_group_across_files() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, negated) = (
        "statement,label,city\nK is in R.,1,K\nK is in S.,0,K\nL is in P.,1,L\n",
        "statement,label,city\nK is not in R.,0,K\n,1,K\nL is not in P.,0,L\n",
    );
    let files: [(&str, &[u8]); 2] = [("a.csv", plain.as_bytes()), ("b.csv", negated.as_bytes())];
    let by_column =
        r#"map: {prompt: "{statement}", label: "{label}", group: "{city}", polarity: affirmative}"#;
    let other = by_column.replace("affirmative", "negated");
    let suite = write(&folder, &files, &[("a.csv", by_column), ("b.csv", &other)]).unwrap();
    assert_eq!(
        grouped(&suite),
        [vec!["a-1", "a-2", "b-1"], vec!["a-3", "b-3"]]
    );
    assert_eq!(suite.items[0].polarity, Some(Polarity::Affirmative));
    assert_eq!(suite.items[3].polarity, Some(Polarity::Negated));
    assert_eq!(suite.sources[0].groups, 2);
    // By number, rows that are left out keep theirs.
    let by_row = r#"map: {prompt: "{statement}", label: "{label}", group: "fact {#}"}"#;
    let suite = write(&folder, &files, &[("a.csv", by_row), ("b.csv", by_row)]).unwrap();
    assert_eq!(
        grouped(&suite),
        [vec!["a-1", "b-1"], vec!["a-2"], vec!["a-3", "b-3"]]
    );
    assert_eq!(suite.item("b-3").unwrap().group, "fact 3");
    let by_two = by_row.replace("{#}", "{#/2}");
    let suite = write(&folder, &files[..1], &[("a.csv", &by_two)]).unwrap();
    assert_eq!(grouped(&suite), [vec!["a-1", "a-2"], vec!["a-3"]]);
}

#[test]
fn the_same_text_shares_a_group_wherever_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (
        "statement,label,fact\nx,1,f\ny,0,f\nx,1,g\nz,1,h\n",
        "statement,label,fact\nz,0,k\nw,1,k\nu,1,m\n",
    );
    let map = r#"map: {prompt: "{statement}", label: "{label}", group: "{fact}"}"#;
    let files: [(&str, &[u8]); 2] = [("a.csv", one.as_bytes()), ("b.csv", two.as_bytes())];
    let suite = write(&folder, &files, &[("a.csv", map), ("b.csv", map)]).unwrap();
    assert_eq!(
        grouped(&suite),
        [
            vec!["a-1", "a-2", "a-3"],
            vec!["a-4", "b-1", "b-2"],
            vec!["b-3"]
        ]
    );
    assert_eq!(suite.item("b-2").unwrap().group, "h", "the first item's");
    let repeated: Vec<Repeated> = suite.sources.iter().map(|source| source.repeated).collect();
    let count = |within, across, contradicting| Repeated {
        within,
        across,
        contradicting,
    };
    assert_eq!(repeated, [count(1, 0, 0), count(0, 1, 1)]);
    // Without a stated group each text is one.
    let suite = write(
        &folder,
        &files,
        &[("a.csv", STATEMENT), ("b.csv", STATEMENT)],
    )
    .unwrap();
    assert_eq!(
        grouped(&suite),
        [
            vec!["a-1", "a-3"],
            vec!["a-2"],
            vec!["a-4", "b-1"],
            vec!["b-2"],
            vec!["b-3"]
        ]
    );
    // The same prompt with another response is another text.
    let map = r#"map: {prompt: p, response: "{statement}", label: "{label}"}"#;
    let suite = write(&folder, &files[..1], &[("a.csv", map)]).unwrap();
    assert_eq!(suite.groups(), 3);
}

#[test]
fn a_denied_statement_and_a_counterpart_share_a_group_unasked() {
    let text = "statement,label,pair\nThe sun is a star.,1,\nThe Sun isn't a star.,0,\nMars is a star.,0,a-4\nIo is a moon.,1,\n";
    let map = r#"map: {prompt: "{statement}", label: "{label}", group: "fact {#}"}"#;
    let suite = suite_of("a.csv", text, map).unwrap();
    assert_eq!(
        grouped(&suite),
        [vec!["a-1", "a-2"], vec!["a-3"], vec!["a-4"]]
    );
    assert_eq!(suite.item("a-2").unwrap().group, "fact 1");
    let with_pair = map.replace("group: \"fact {#}\"", "pair: \"{pair}\"");
    // Rows without a counterpart are left out where one is mapped, and with them those that name them.
    let fault = suite_of("a.csv", text, &with_pair).unwrap_err();
    assert_eq!(fault.kind, candor::fault::Kind::NoInputs, "{fault}");
    let text = "statement,label,pair\nMars is a star.,0,a-2\nIo is a moon.,1,a-1\n";
    let suite = suite_of("a.csv", text, &with_pair).unwrap();
    assert_eq!(grouped(&suite), [vec!["a-1", "a-2"]]);
}

#[test]
fn rows_of_another_width_are_left_out_and_shown() {
    let text = "statement,label\na,1\nb\nc,1,2\nd,0\n";
    let suite = suite_of("a.csv", text, STATEMENT).unwrap();
    assert_eq!(prompts(&suite), ["a", "d"]);
    assert_eq!(
        suite.sources[0].skipped,
        [
            skipped("1 cells, not 2", 1, &[3]),
            skipped("3 cells, not 2", 1, &[4])
        ]
    );
}

#[test]
fn many_reasons_are_summed_up() {
    let rows: Vec<String> = (0..100).map(|row| format!("s{row},odd {row}")).collect();
    let rows = rows.join("\n");
    let text = format!("statement,label\nx,1\n{rows}");
    let suite = suite_of("a.csv", text, STATEMENT).unwrap();
    let source = &suite.sources[0];
    assert_eq!((source.skipped.len(), source.left_out()), (20, 100));
    assert_eq!(
        source.skipped[19],
        skipped("other reasons", 81, &[22, 23, 24, 25, 26])
    );
}

#[test]
fn answers_lose_the_blanks_around_them() {
    let text = concat!(
        r#"{"question": "Q?\n (A) Yes\n (B) No", "yes": " (A)", "no": " (B)"}"#,
        "\n\n",
        r#"{"question": "R?", "yes": " (B)", "no": " (A)"}"#,
    );
    let map = r#"map: {prompt: "{question}", answer: "{yes}", foil: "{no}"}"#;
    let suite = suite_of("a.jsonl", text, map).unwrap();
    let item = &suite.items[0];
    assert_eq!(prompts(&suite)[0], "Q?\n (A) Yes\n (B) No");
    assert_eq!(
        (item.answer.as_deref(), item.foil.as_deref()),
        (Some("(A)"), Some("(B)"))
    );
    let map = r#"map: {prompt: "{question}"}, explode: [{response: "{yes}", label: 1}, {response: "{no}", label: 0}]"#;
    let suite = suite_of("a.jsonl", text, map).unwrap();
    let of = |index: usize| {
        let item = &suite.items[index];
        (
            item.id.as_str(),
            item.response.as_deref().unwrap(),
            item.label.unwrap(),
        )
    };
    assert_eq!(
        [of(0), of(1), of(2)],
        [
            ("a-1-1", "(A)", 1),
            ("a-1-2", "(B)", 0),
            ("a-2-1", "(B)", 1)
        ]
    );
}

#[test]
fn lists_are_split_and_exploded() {
    let text = "q,best,right,wrong\nQ?,b,b; c ;;d; ,x;y\nR?,b,,z\nS?,b,a,\nT?,,,\n";
    let map = r#"map: {prompt: "{q}", answer: "{best}", accept: {from: "{right}", split: ";"}, foil: {from: "{wrong}", split: ";"}}"#;
    let suite = suite_of("a.csv", text, map).unwrap();
    assert_eq!(suite.items[0].accept, ["b", "c", "d"]);
    assert_eq!(suite.items[0].foil.as_deref(), Some("x"));
    assert_eq!(suite.items[1].accept, [""; 0]);
    assert_eq!(suite.items[2].foil, None);
    assert_eq!(
        suite.sources[0].skipped,
        [skipped("`best` is empty", 1, &[5])]
    );
    let second = map.replace("foil: {", "foil: {part: 2, ");
    let suite = suite_of("a.csv", text, &second).unwrap();
    assert_eq!(suite.items[0].foil.as_deref(), Some("y"));
    assert_eq!(suite.items[1].foil, None);
    let each = r#"map: {prompt: "{q}", response: "So {each}."}, explode: [{each: {from: "{right}", split: ";"}, label: 1}, {each: {from: "{wrong}", split: ";"}, label: 0}]"#;
    let suite = suite_of("a.csv", text, each).unwrap();
    let responses: Vec<&str> = suite
        .items
        .iter()
        .filter_map(|item| item.response.as_deref())
        .collect();
    assert_eq!(
        responses,
        [
            "So b.", "So c.", "So d.", "So x.", "So y.", "So z.", "So a."
        ]
    );
    assert_eq!(suite.items[4].id, "a-1-5");
    let source = &suite.sources[0];
    assert_eq!((source.rows, source.items), (4, 7));
    assert_eq!(
        source.skipped,
        [skipped("every list to explode is empty", 1, &[5])]
    );
}

#[test]
fn json_lists_objects_and_missing_keys() {
    let text = concat!(
        r#"{"q": "Q?", "right": ["b", " c "], "meta": {"topic": {"name": "t"}}, "label": true}"#,
        "\n",
        r#"{"label": 0, "q": "R?", "meta": {"topic": null}}"#,
        "\n",
        r#"{"q": null, "label": 1.0}"#,
    );
    let map = r#"map: {prompt: "{q} ({label})", label: "{label}", template: "{meta.topic.name}", accept: "{right}"}"#;
    let suite = suite_of("a.jsonl", text, map).unwrap();
    assert_eq!(prompts(&suite), ["Q? (true)", "R? (0)"]);
    assert_eq!(labels(&suite), [Some(1), Some(0)]);
    assert_eq!(suite.items[0].accept, ["b", "c"]);
    assert_eq!(suite.items[0].template.as_deref(), Some("t"));
    assert_eq!(suite.items[1].template, None);
    assert_eq!(suite.sources[0].skipped, [skipped("`q` is empty", 1, &[3])]);
}

#[test]
fn filters_formats_and_headers() {
    let text = "a;1;x\nb;0;y\nc;1;z\n";
    let map = r#"delimiter: ";", header: false, skip: [{column: column 3, values: [z]}], map: {prompt: "{column 1}", label: "{column 2}"}"#;
    let suite = suite_of("a.csv", text, map).unwrap();
    assert_eq!(prompts(&suite), ["a", "b"]);
    assert_eq!(
        suite.sources[0].skipped,
        [skipped("`column 3`, by `skip`", 1, &[3])]
    );
    let only = map.replace(
        "skip: [{column: column 3, values: [z]}]",
        "only: [{column: column 2, values: [1]}]",
    );
    let suite = suite_of("a.txt", text, &format!("format: csv, {only}")).unwrap();
    assert_eq!(prompts(&suite), ["a", "c"]);
    assert_eq!(
        suite.sources[0].skipped,
        [skipped("`column 2`, by `only`", 1, &[2])]
    );
    let suite = suite_of("a.tsv", "statement\tlabel\nx, y\t1\n", STATEMENT).unwrap();
    assert_eq!(prompts(&suite), ["x, y"]);
}

#[test]
fn conversations_conditions_and_counterparts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("a.csv"),
        "scene,watched,free\nS1,w1,f1\nS2,w2,\n,w3,f3\n",
    )
    .unwrap();
    let yaml = r#"
schema: candor/suite/v1
id: s
purpose: contrast
contrast: {tested: free, against: watched}
sources:
  - file: a.csv
    map:
      messages: [{role: system, content: "{scene}"}, {role: user, content: "{watched}"}]
      condition: watched
      id: "w-{#}"
  - file: a.csv
    dataset: free
    map:
      messages: [{role: system, content: "{scene}"}, {role: user, content: "{free} {{x}}"}]
      condition: free
      id: "f-{#}"
      pair: "w-{#}"
"#;
    std::fs::write(folder.path().join("suite.yaml"), yaml).unwrap();
    let suite = Suite::open(folder.path()).unwrap();
    let ids: Vec<&str> = suite.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["w-1", "w-2", "f-1"]);
    let Prompt::Chat(messages) = &suite.items[2].prompt else {
        panic!("a conversation");
    };
    assert_eq!(
        (messages[0].role(), messages[1].content().as_str()),
        ("system", "f1 {x}")
    );
    // A row whose counterpart was left out goes too.
    let reversed = yaml.replace("id: \"w-{#}\"", "id: \"w-{#}\"\n      pair: \"f-{#}\"");
    std::fs::write(folder.path().join("suite.yaml"), reversed).unwrap();
    let suite = Suite::open(folder.path()).unwrap();
    assert_eq!(suite.items.len(), 2);
    assert_eq!(
        suite.sources[0].skipped,
        [
            skipped("`scene` is empty", 1, &[4]),
            skipped("its `pair` is not in the suite", 1, &[3])
        ]
    );
}

#[test]
fn the_digest_covers_suite_and_sources() {
    let digest = |text: &str, map: &str| suite_of("a.csv", text, map).unwrap().digest;
    let text = "statement,label\nx,1\n";
    let first = digest(text, STATEMENT);
    assert_eq!(first, digest(text, STATEMENT));
    // A comment-like change that alters no item alters the bytes.
    assert_ne!(first, digest("statement,label\nx,1\n\n", STATEMENT));
    assert_ne!(first, digest(text, &format!("{STATEMENT}, dataset: b")));
}

#[cfg(unix)]
#[test]
fn files_elsewhere_and_links_are_read() {
    let (elsewhere, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = elsewhere.path().join("a.csv");
    std::fs::write(&file, "statement,label\nx,1\n").unwrap();
    std::os::unix::fs::symlink(&file, folder.path().join("link.csv")).unwrap();
    let suite = write(&folder, &[], &[("link.csv", STATEMENT)]).unwrap();
    assert_eq!(prompts(&suite), ["x"]);
    let suite = write(&folder, &[], &[(file.to_str().unwrap(), STATEMENT)]).unwrap();
    assert_eq!(suite.items[0].id, "a-1");
    let yaml = format!(
        "schema: candor/suite/v1\nid: s\npurpose: control\nroot: {}\nsources: [{{file: a.csv, {STATEMENT}}}]\n",
        elsewhere.path().display()
    );
    std::fs::write(folder.path().join("suite.yaml"), yaml).unwrap();
    assert_eq!(prompts(&Suite::open(folder.path()).unwrap()), ["x"]);
}
