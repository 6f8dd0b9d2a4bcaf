//! Files of pairs, and circuits that cannot be looked for.

use crate::Said;
use crate::cli::bench::Bench;

const GOOD: &str = r#"{"clean": [1, 2, 3], "corrupt": [1, 4, 3], "answer": 5, "foil": 6}"#;

#[test]
fn pairs_and_circuits_that_cannot_be() {
    let mut said = Said::default();
    let bench = Bench::new();
    let circuit = |lines: &str, more: &[&str], code| {
        bench.write("p.jsonl", lines.as_bytes());
        let args = ["circuit", "model.onnx", "--pairs", "p.jsonl", "--out", "c"];
        bench.refuses(&[&args, more].concat(), code)
    };
    let second = |line: &str| format!("{GOOD}\n\n{line}\n");
    for line in [
        "{",
        "[1]",
        r#"{"clean": [1], "answer": 5, "foil": 6}"#,
        r#"{"clean": 1, "corrupt": [2], "answer": 5, "foil": 6}"#,
        r#"{"clean": [1, 2], "corrupt": [1], "answer": 5, "foil": 6}"#,
        r#"{"clean": [1, 2], "corrupt": [1, 2], "answer": 5, "foil": 6}"#,
        r#"{"clean": [], "corrupt": [], "answer": 5, "foil": 6}"#,
        r#"{"clean": [1, 9999], "corrupt": [1, 3], "answer": 5, "foil": 6}"#,
        r#"{"clean": [1, 2], "corrupt": [1, 3], "answer": 5, "foil": 5}"#,
        r#"{"clean": [1, 2], "corrupt": [1, 3], "answer": 5, "foil": -1}"#,
        r#"{"clean": [1, 2], "corrupt": [1, 3], "answer": 5}"#,
        r#"{"clean": [1, 2], "corrupt": [1, 3], "answer": "kip lira", "foil": 5}"#,
        r#"{"clean": [1, 2], "corrupt": [1, 3], "answer": 5, "foil": 6, "groop": "a"}"#,
        r#"{"clean": [1, 2], "corrupt": [1, 3], "answer": 5, "foil": 6, "id": "line 1"}"#,
    ] {
        said.add(line, &circuit(&second(line), &[], 2));
    }
    said.add("an empty file", &circuit("\n", &[], 3));
    said.add("too few pairs", &circuit(GOOD, &[], 2));
    let ablation = circuit(GOOD, &["--ablation", "median"], 2);
    said.add("an unknown ablation", &ablation);
    let negative = circuit(GOOD, &["--threshold", "-1"], 2);
    said.add("a threshold below nothing", &negative);
    insta::assert_snapshot!(said.0.join("\n"));
}
