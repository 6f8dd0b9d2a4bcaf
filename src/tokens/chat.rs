//! Chat templates, as Hugging Face writes and renders them.
//!
//! A template is a stranger's program. It runs without access to anything but the conversation, on fuel (steps, and bytes
//! that it makes), and not for ever.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State};
use serde_json::json;

use super::config;
use super::prompt::Message;
use super::python;
use crate::fault::{Fault, Result};

/// Steps that a template may take, or [`BYTES`] that it may make.
const FUEL: u64 = 250_000;
/// What minijinja gives for [`FUEL`].
const BYTES: usize = 64 * 250_000;
/// Every step may put a list into a list, and minijinja walks and frees what it holds by recursion. Of a stack only what is
/// used takes memory.
const STACK: usize = 1 << 29;
/// A list that holds another one twice, which does the same, is walked for ever on little fuel. Templates take milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The day that a template which asks for it is told, in days since 1 January 1970: 26 July 2024, which the templates of
/// Llama 3 name themselves where there is no clock. An audit must not read differently tomorrow.
const TODAY: u32 = 19_930;

/// A chat template and the special tokens that it may write.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    path: PathBuf,
    tokens: Vec<(String, String)>,
}

impl ChatTemplate {
    /// The template that lies beside a tokenizer: `chat_template.jinja`, or `chat_template` in `tokenizer_config.json`
    /// (of several named ones the default).
    ///
    /// # Errors
    /// A file is malformed, or there is no template.
    pub fn beside(tokenizer: &Path) -> Result<Self> {
        let (config_path, config) = config::beside(tokenizer, "tokenizer_config.json")?;
        let tokens = config::special_tokens(&config)
            .into_iter()
            .map(|(key, token)| (key.to_owned(), token.to_owned()))
            .collect();
        let alone = tokenizer.with_file_name("chat_template.jinja");
        match std::fs::read_to_string(&alone) {
            Ok(source) => {
                return Ok(Self {
                    source,
                    path: alone,
                    tokens,
                });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Fault::usage(
                    format!("reading the chat template `{}`", alone.display()),
                    error.to_string(),
                ));
            }
        }
        let doing = || format!("reading the chat template of `{}`", config_path.display());
        let source = match config.get("chat_template") {
            Some(serde_json::Value::String(source)) => source.clone(),
            Some(serde_json::Value::Array(named)) => named
                .iter()
                .find(|one| one.get("name").and_then(|name| name.as_str()) == Some("default"))
                .and_then(|one| one.get("template")?.as_str())
                .ok_or_else(|| {
                    Fault::usage(doing(), "named templates without a default")
                        .expected("one with the name `default`")
                })?
                .to_owned(),
            Some(_) => {
                return Err(Fault::usage(
                    doing(),
                    "a `chat_template` that is neither text nor a list",
                )
                .expected("a Jinja template, or a list of named ones"));
            }
            None => {
                return Err(Fault::usage(doing(), "no `chat_template`")
                    .expected("a chat template beside the tokenizer, to render `messages`")
                    .hint("give `prompt` instead of `messages`, or lay the model's tokenizer_config.json or chat_template.jinja beside its tokenizer.json"));
            }
        };
        Ok(Self {
            source,
            path: config_path,
            tokens,
        })
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text of a conversation, with the mark behind which the assistant speaks.
    ///
    /// # Errors
    /// Usage: the template is malformed, refuses the conversation, or takes too many steps or too long. Failed: there is no memory
    /// for a thread.
    pub fn render(&self, messages: &[Message]) -> Result<String> {
        let doing = || format!("rendering the chat template of `{}`", self.path.display());
        let (template, messages) = (self.clone(), messages.to_vec());
        let (done, made) = mpsc::channel();
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || {
                // Whoever waited may have lost patience.
                let _ = done.send(template.render_here(&messages));
            })
            .map_err(|error| Fault::failed(doing(), error.to_string()))?;
        made.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            Err(Fault::usage(
                doing(),
                format!("no end within {} seconds", PATIENCE.as_secs()),
            )
            .expected("a template that comes to an end"))
        })
    }

    fn render_here(&self, messages: &[Message]) -> Result<String> {
        let mut context = serde_json::Map::new();
        for (key, token) in &self.tokens {
            context.insert(key.clone(), json!(token));
        }
        let messages: Vec<_> = messages.iter().map(|message| &message.0).collect();
        context.insert("messages".into(), json!(messages));
        context.insert("add_generation_prompt".into(), json!(true));
        context.insert("tools".into(), json!(null));
        context.insert("documents".into(), json!(null));
        environment()
            .and_then(|environment| {
                let source = without_marks(&self.source);
                environment.render_named_str("chat_template", &source, Serde(&context))
            })
            .map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &Error) -> Fault {
        let line = error
            .line()
            .map_or_else(String::new, |line| format!(", line {line}"));
        let doing = format!(
            "rendering the chat template of `{}`{line}",
            self.path.display()
        );
        if error.kind() == ErrorKind::OutOfFuel {
            return Fault::usage(doing, format!("more than {FUEL} steps"))
                .expected("a template that comes to an end");
        }
        let found = error
            .detail()
            .map_or_else(|| error.to_string(), str::to_owned);
        Fault::usage(doing, found).expected("a template that takes this conversation")
    }
}

/// The functions, filters and habits of the environment in which transformers renders.
fn environment() -> std::result::Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    environment.set_syntax(syntax.trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_fuel(Some(FUEL));
    // They indent by depth, without a bound.
    environment.remove_filter("pprint");
    environment.remove_global("debug");
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(method);
    environment.set_formatter(write);
    environment.add_filter("tojson", |value: &Value, options: Kwargs| {
        python::to_json(value, options, BYTES)
    });
    environment.add_function(
        "raise_exception",
        |message: String| -> std::result::Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    environment.add_function("strftime_now", |format: &str| {
        python::strftime(format, TODAY)
    });
    Ok(environment)
}

/// The methods of Python's values. Widths of `str.format` are paid for before they are filled.
fn method(
    state: &mut State,
    value: &Value,
    name: &str,
    args: &[Value],
) -> std::result::Result<Value, Error> {
    if let ("format", Some(text)) = (name, value.as_str()) {
        let numbers = text.split(|character: char| !character.is_ascii_digit());
        let wide = numbers
            .filter(|number| !number.is_empty())
            .fold(0_u64, |sum, number| {
                sum.saturating_add(number.parse().unwrap_or(u64::MAX))
            });
        state.consume_fuel(wide / 64)?;
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

/// Writes what Python spells with capitals as it does.
fn write(out: &mut Output, state: &mut State, value: &Value) -> std::result::Result<(), Error> {
    let text = match value.kind() {
        ValueKind::None => "None",
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        _ => return minijinja::escape_formatter(out, state, value),
    };
    out.write_str(text).map_err(Error::from)
}

/// The template without transformers' own tags around what the assistant says, `{% generation %}`: they only mark it.
fn without_marks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let (tag, behind) = tag.split_at(end);
        let word = tag.trim_start_matches("{%").trim_matches(['-', '+']).trim();
        match word {
            "generation" => out.push_str(&tag.replace(word, "if true")),
            "endgeneration" => out.push_str(&tag.replace(word, "endif")),
            _ => out.push_str(tag),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}
