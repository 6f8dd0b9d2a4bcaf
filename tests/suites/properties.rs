//! Whatever is written as CSV comes back, and no bytes make a reader panic.

use candor::tokens::Item;
use csv::{QuoteStyle, Terminator, WriterBuilder};
use proptest::prelude::*;

use super::suite_of;

const MAP: &str = r#"map: {prompt: "x {column 1}", answer: "y {b}"}, delimiter: ";""#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_the_csv_crate_writes_comes_back(
        rows in prop::collection::vec((r#"[a-z";,\r\n é]{0,8}"#, any::<String>()), 1..8),
        always in any::<bool>(),
        crlf in any::<bool>(),
        mark in any::<bool>(),
    ) {
        let mut bytes = if mark { "\u{feff}".as_bytes().to_vec() } else { Vec::new() };
        let mut writer = WriterBuilder::new()
            .delimiter(b';')
            .quote_style(if always { QuoteStyle::Always } else { QuoteStyle::Necessary })
            .terminator(if crlf { Terminator::CRLF } else { Terminator::Any(b'\n') })
            .from_writer(&mut bytes);
        writer.write_record(["", "b"]).unwrap();
        for (a, b) in &rows {
            writer.write_record([a, b]).unwrap();
        }
        writer.flush().unwrap();
        drop(writer);
        // Rows with a blank cell are left out, the others come back but for the blanks around them.
        let kept: Vec<(String, String)> = rows
            .iter()
            .filter(|(a, b)| !a.trim().is_empty() && !b.trim().is_empty())
            .map(|(a, b)| (format!("x {a}").trim().to_owned(), format!("y {b}").trim().to_owned()))
            .collect();
        match suite_of("a.csv", &bytes, MAP) {
            Ok(suite) => {
                let read: Vec<(String, String)> = suite
                    .items
                    .iter()
                    .map(|item: &Item| (item.prompt.to_string(), item.answer.clone().unwrap()))
                    .collect();
                prop_assert_eq!(read, kept);
                let source = &suite.sources[0];
                prop_assert_eq!(source.rows, rows.len());
                prop_assert_eq!(source.items + source.left_out(), rows.len());
            }
            Err(fault) => prop_assert!(kept.is_empty(), "{}", fault),
        }
    }

    #[test]
    fn no_bytes_make_a_source_panic(bytes in any::<Vec<u8>>(), text in any::<String>(), rows in r#"([",;\n\r{}a1:\[\]]){0,40}"#) {
        for file in ["a.csv", "a.tsv", "a.jsonl"] {
            for bytes in [bytes.as_slice(), text.as_bytes(), rows.as_bytes()] {
                let _ = suite_of(file, bytes, r#"map: {prompt: "{a}", label: "{b}"}"#);
                let _ = suite_of(file, bytes, r#"map: {prompt: p}, explode: [{each: {from: "{a}", split: ","}, response: "{each}"}]"#);
            }
        }
    }

    #[test]
    fn no_template_makes_a_source_panic(text in any::<String>(), braces in r"[{}#/a2 ]{0,12}") {
        for template in [text, braces] {
            let quoted = serde_json::to_string(&template).unwrap();
            let _ = suite_of("a.csv", "a,b\nx,1\n", &format!("map: {{prompt: {quoted}}}"));
        }
    }
}
