//! Chat templates against what transformers makes of them, and templates that mean harm.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;
use std::path::Path;

use candor::fault::{Fault, Kind};
use candor::tokens::{ChatTemplate, Given, Prompt, Suite, Tokenizer};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A tokenizer of single letters with the special tokens of the recorded templates, and what lies beside it.
fn folder(files: &[(&str, Value)]) -> TempDir {
    let special = |id: usize, content: &str| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let mut vocab = serde_json::Map::new();
    let letters = "abcdefghijklmnopqrstuvwxyz :\n";
    for token in ["<s>", "</s>", "<|im_start|>", "<|im_end|>"] {
        vocab.insert(token.into(), json!(vocab.len()));
    }
    for letter in letters.chars() {
        vocab.insert(letter.into(), json!(vocab.len()));
    }
    let added: Vec<_> = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
        .iter()
        .enumerate()
        .map(|(id, token)| special(id, token))
        .collect();
    let post = json!([{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]);
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": null, "decoder": null,
        "post_processor": {
            "type": "TemplateProcessing", "single": post, "pair": post,
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
        },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": [],
        },
    });
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    for (name, content) in files {
        let text = match content {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn template(source: &str) -> (TempDir, ChatTemplate) {
    let config = json!({"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "chat_template": source});
    let folder = folder(&[("tokenizer_config.json", config)]);
    let template = ChatTemplate::beside(&folder.path().join("tokenizer.json")).unwrap();
    (folder, template)
}

fn render(source: &str, messages: &Value) -> Result<String, Fault> {
    let (_folder, template) = template(source);
    match Prompt::chat(messages.clone(), "reading messages")? {
        Prompt::Chat(messages) => template.render(&messages),
        Prompt::Text(text) => Ok(text),
    }
}

fn question() -> Value {
    json!([{"role": "user", "content": "hi"}])
}

#[test]
fn conversations_are_rendered_as_transformers_renders_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/cases.json");
    let record: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut refused = 0;
    for case in record["cases"].as_array().unwrap() {
        let (name, title) = (
            case["template"].as_str().unwrap(),
            case["conversation"].as_str().unwrap(),
        );
        let source = record["templates"][name].as_str().unwrap();
        let found = render(source, &record["conversations"][title]);
        if let Some(text) = case["text"].as_str() {
            assert_eq!(found.unwrap(), text, "{name}, {title}");
        } else {
            let fault = found.unwrap_err();
            assert_eq!(fault.kind, Kind::Usage);
            // A message of the template's own is passed on.
            if source.contains(case["error"].as_str().unwrap()) {
                assert_eq!(fault.found, case["error"], "{name}, {title}");
            }
            refused += 1;
        }
    }
    assert!(refused > 5);
}

#[test]
fn hostile_templates_come_to_an_end() {
    let endless = [
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(10**12) %}x{% endfor %}",
        "{% set ns = namespace(x='xxxxxxxx') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
        "{{ 'x' * 10**11 }}",
        "{{ ('x' * 10**8) ~ ('y' * 10**8) }}",
        "{% set ns = namespace(x=[]) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
        "{{ messages | tojson(indent=9223372036854775807) }}",
        "{{ '{:>99999999999}'.format(1) }}",
        "{% for a in range(1000) recursive %}{{ loop(range(1000)) }}{% endfor %}",
        "{{ range(99999) | list | join('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') }}",
    ];
    for source in endless {
        let fault = render(source, &question()).unwrap_err();
        assert_eq!(fault.kind, Kind::Usage, "{source}");
        assert!(fault.doing.contains("tokenizer_config.json"), "{fault}");
    }
}

#[test]
fn lists_that_lie_deep_in_one_another_are_walked() {
    let deep = "{% set ns = namespace(x=[]) %}{% for i in range(15000) %}{% set ns.x = [[[ns.x]]] %}{% endfor %}";
    let brackets = 2 * 3 * 15_000 + 2;
    for (shown, expected) in [
        ("{{ ns.x | length }}", "1".to_owned()),
        ("{{ ns.x | tojson | length }}", brackets.to_string()),
        ("{{ (ns.x ~ '') | length }}", brackets.to_string()),
        ("{{ ns.x == [ns.x] }}", "False".to_owned()),
    ] {
        let text = render(&format!("{deep}{shown}"), &question()).unwrap();
        assert_eq!(text, expected, "{shown}");
    }
    // An indent is wider than what Rust's own formatting takes.
    let wide = render(
        "{{ messages | tojson(indent=70000) | length }}",
        &question(),
    )
    .unwrap();
    assert_eq!(
        wide,
        (70_000 * 6 + r#"[{"role": "user","content": "hi"}]"#.len() + 5).to_string()
    );
}

#[test]
fn what_is_wrong_with_a_template_is_said() {
    let faults: Vec<String> = [
        "{% for message in messages %}",
        "{{ raise_exception('Only one question, please') }}",
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "line\n{{ missing.thing }}",
        "{% include 'other' %}",
        "{{ strftime_now('%Q') }}",
    ]
    .iter()
    .map(|source| {
        let fault = render(source, &question()).unwrap_err();
        let folder = fault
            .doing
            .rsplit_once('/')
            .map_or("", |(before, _)| before);
        let folder = folder.split('`').next_back().unwrap();
        fault.to_string().replace(folder, "[folder]")
    })
    .collect();
    insta::assert_snapshot!(faults.join("\n\n"));
}

#[test]
fn the_file_of_its_own_comes_first_and_of_named_ones_the_default() {
    let read = |files: &[(&str, Value)]| {
        let folder = folder(files);
        ChatTemplate::beside(&folder.path().join("tokenizer.json"))
            .and_then(|template| match Prompt::chat(question(), "")? {
                Prompt::Chat(messages) => template.render(&messages),
                Prompt::Text(text) => Ok(text),
            })
            .map_err(|fault| fault.found)
    };
    let named = json!({"chat_template": [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]});
    assert_eq!(
        read(&[("tokenizer_config.json", named.clone())]),
        Ok("plain".into())
    );
    let alone = ("chat_template.jinja", json!("alone{{ bos_token }}"));
    assert_eq!(
        read(&[("tokenizer_config.json", named), alone]),
        Ok("alone".into())
    );
    assert_eq!(read(&[]), Err("no `chat_template`".into()));
    let none = json!({"chat_template": [{"name": "rag", "template": "x"}]});
    assert_eq!(
        read(&[("tokenizer_config.json", none)]),
        Err("named templates without a default".into())
    );
    let number = json!({"chat_template": 3});
    assert!(
        read(&[("tokenizer_config.json", number)])
            .unwrap_err()
            .contains("neither")
    );
    assert!(
        read(&[("tokenizer_config.json", json!("{"))])
            .unwrap_err()
            .contains("EOF")
    );
}

const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant{{ '\n' }}";

#[test]
fn a_rendered_conversation_gets_no_second_beginning() {
    let tokens = |source: &str| {
        let config = json!({"bos_token": "<s>", "chat_template": source});
        let folder = folder(&[("tokenizer_config.json", config)]);
        let tokenizer = Tokenizer::open(&folder.path().join("tokenizer.json")).unwrap();
        let prompt = Prompt::chat(question(), "").unwrap();
        tokenizer.encode(&prompt).unwrap()
    };
    let with_begin = tokens(&format!("{{{{ bos_token }}}}{CHATML}"));
    assert_eq!(with_begin.tokens[..3], ["<s>", "<|im_start|>", "u"]);
    let without = tokens(CHATML);
    assert_eq!(without.tokens[..2], ["<|im_start|>", "u"]);
    let specials: Vec<_> = without
        .special
        .iter()
        .enumerate()
        .filter(|(_, special)| **special)
        .collect();
    assert_eq!(specials.len(), 3);
    // A template that writes no special token of its own is a text like any other.
    assert_eq!(tokens("user: hi").tokens[..2], ["<s>", "u"]);
    // What the answer follows counts as read, even if it is a mark.
    let marked = tokens("<|im_start|>hi<|im_end|>");
    assert_eq!(marked.special, [true, false, false, false]);
}

#[test]
fn an_answer_follows_the_mark_of_the_assistant() {
    let config = json!({"chat_template": CHATML});
    let folder = folder(&[("tokenizer_config.json", config)]);
    let tokenizer = Tokenizer::open(&folder.path().join("tokenizer.json")).unwrap();
    let prompt = Prompt::chat(question(), "").unwrap();
    let alone = tokenizer.encode(&prompt).unwrap();
    let whole = tokenizer.encode_with_response(&prompt, "yes").unwrap();
    assert_eq!(whole.response_start, alone.ids.len());
    assert_eq!(whole.tokens[whole.response_start..], ["y", "e", "s"]);
    assert_eq!(whole.tokens[whole.prompt_last()], "\n");
    assert_eq!(tokenizer.tokens_after(&prompt, "no").unwrap().len(), 2);
    assert_eq!(prompt.to_string(), "user: hi");
    assert!(tokenizer.text(Given::Text("plain")).unwrap() == "plain");
}

#[test]
fn a_response_ends_where_the_models_files_say() {
    let stops = |files: &[(&str, Value)]| {
        let folder = folder(files);
        let tokenizer = Tokenizer::open(&folder.path().join("tokenizer.json")).unwrap();
        tokenizer.stop_ids().map_err(|fault| fault.doing)
    };
    assert_eq!(stops(&[]).unwrap(), [1, 3]);
    let config = (
        "tokenizer_config.json",
        json!({"eos_token": {"content": "<|im_end|>"}}),
    );
    assert_eq!(stops(std::slice::from_ref(&config)).unwrap(), [3]);
    let generation = ("generation_config.json", json!({"eos_token_id": [2, 3]}));
    assert_eq!(stops(&[config.clone(), generation]).unwrap(), [2, 3]);
    let one = ("config.json", json!({"eos_token_id": 9}));
    assert_eq!(stops(&[config.clone(), one]).unwrap(), [9]);
    let genai = ("genai_config.json", json!({"model": {"eos_token_id": [7]}}));
    assert_eq!(stops(&[config, genai]).unwrap(), [7]);
    let broken = ("generation_config.json", json!("[]"));
    assert!(
        stops(&[broken])
            .unwrap_err()
            .contains("generation_config.json")
    );
}

#[test]
fn suites_hold_conversations() {
    let suite = |item: Value| {
        let folder = tempfile::tempdir().unwrap();
        let yaml = "schema: candor/suite/v1\nid: s\npurpose: control\nitems: items.jsonl\n";
        fs::write(folder.path().join("suite.yaml"), yaml).unwrap();
        let mut whole = json!({"id": "a", "group": "g", "condition": "plain"});
        whole
            .as_object_mut()
            .unwrap()
            .extend(item.as_object().unwrap().clone());
        fs::write(folder.path().join("items.jsonl"), whole.to_string()).unwrap();
        Suite::open(folder.path()).map_err(|fault| fault.found)
    };
    let messages = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}]);
    let found = suite(json!({"messages": messages})).unwrap();
    assert_eq!(
        found.items[0].prompt.to_string(),
        "system: Be brief.\nuser: Hi"
    );
    let refused = [
        (
            json!({"messages": question(), "prompt": "x"}),
            "both `prompt` and `messages`",
        ),
        (json!({"messages": []}), "no message"),
        (json!({"messages": "hi"}), "`messages` that are no list"),
        (json!({"messages": ["hi"]}), "message 0 is no object"),
        (
            json!({"messages": [{"content": "hi"}]}),
            "message 0 without a role",
        ),
        (
            json!({"messages": [{"role": "user"}]}),
            "message 0 without a content",
        ),
        (
            json!({"messages": [{"role": "assistant", "content": "hi"}]}),
            "a conversation that ends with the assistant",
        ),
        (json!({"prompt": " "}), "item `a` without a prompt"),
    ];
    for (item, expected) in refused {
        assert_eq!(suite(item).unwrap_err(), expected);
    }
}
