//! A page of Markdown that stays below what GitHub takes: what does not fit is left out from the end, and that is said.

use std::fmt::Write as _;

use crate::report::words;

/// GitHub takes 1 MiB of a step; something may stand there already.
const MOST_BYTES: usize = 900 * 1024;

/// A page that takes lines while there is room.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    /// Lines that found no room.
    left_out: usize,
}

impl Page {
    pub fn line(&mut self, line: &str) {
        if self.left_out > 0 || self.text.len() + line.len() >= MOST_BYTES {
            self.left_out += 1;
            return;
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub fn heading(&mut self, heading: &str) {
        self.line(&format!("\n### {heading}\n"));
    }

    /// A blank line, unless there is one.
    pub fn gap(&mut self) {
        if !self.text.ends_with("\n\n") {
            self.line("");
        }
    }

    pub fn table(&mut self, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return;
        }
        self.gap();
        self.line(&format!("| {} |", head.join(" | ")));
        self.line(&format!("|{}", "---|".repeat(head.len())));
        for row in rows {
            self.line(&format!("| {} |", row.join(" | ")));
        }
    }

    /// A part that is opened with a click; closed again even where its lines found no room.
    pub fn folded(&mut self, summary: &str, fill: impl FnOnce(&mut Self)) {
        self.line(&format!("\n<details><summary>{summary}</summary>\n"));
        let open = self.left_out == 0;
        fill(self);
        if open {
            self.text.push_str("\n</details>\n");
        }
    }

    pub fn finish(mut self) -> String {
        if self.left_out > 0 {
            let _ = writeln!(
                self.text,
                "\n{} did not fit in here: see report.html or report.json.",
                words::counted(self.left_out, "line", "lines")
            );
        }
        self.text
    }
}
