//! Texts of a model or a file that make no markup, no link, no mention and no HTML.

use crate::report::listing::{cut, harmless};

/// Characters of a cell, and of a sentence.
const LONGEST: (usize, usize) = (400, 1_500);
/// WORD JOINER: no width, no break.
const JOINER: char = '\u{2060}';
const LONGEST_COMMAND: usize = 20_000;

/// A text in a cell.
pub fn cell(text: &str) -> String {
    escaped(&cut(text, LONGEST.0))
}

/// A text that may begin a line: what would make it a heading, a list or a rule there is escaped too.
pub fn sentence(text: &str) -> String {
    let text = escaped(&cut(text, LONGEST.1));
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let at = if digits > 0
        && text
            .get(digits..)
            .unwrap_or_default()
            .starts_with(['.', ')'])
    {
        digits
    } else if text.starts_with(['#', '+', '-', '=']) {
        0
    } else {
        return text;
    };
    let (number, rest) = text.split_at(at);
    format!("{number}\\{rest}")
}

/// A text in one line that makes no markup, link, mention or HTML.
pub fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    let text = one_line(text);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        // Addresses, mentions and numbers of issues become links after escapes are read; an invisible joiner keeps them texts.
        if c == '.' && before.eq_ignore_ascii_case(&'w') {
            out.push(JOINER);
        }
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '$' | '!' | '^' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
        let linked = match c {
            '@' | '#' => next.is_alphanumeric(),
            ':' => next == '/',
            '-' => before.eq_ignore_ascii_case(&'h') && next.is_ascii_digit(),
            _ => false,
        };
        if linked {
            out.push(JOINER);
        }
        before = c;
    }
    out
}

/// A text as code, within a line or a cell.
pub fn code(text: &str) -> String {
    let text = one_line(&cut(text, LONGEST.0)).replace('|', "\\|");
    let fence = "`".repeat(longest_run(&text) + 1);
    // A blank each keeps backticks at the ends apart from the fence, and is not shown.
    let blank = if text.starts_with('`') || text.ends_with('`') || text.is_empty() {
        " "
    } else {
        ""
    };
    format!("{fence}{blank}{text}{blank}{fence}")
}

/// A text as a block of code.
pub fn fenced(language: &str, text: &str) -> String {
    let text = cut(&harmless(text), LONGEST_COMMAND);
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}")
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn one_line(text: &str) -> String {
    let words: Vec<String> = harmless(text)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    words.join(" ")
}
