//! What is said to the person at the terminal.

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::{Mutex, OnceLock};

use indicatif::{ProgressBar, ProgressStyle};

use crate::fault::{Fault, Result};
use crate::lab::Progress;

/// Why something that was said on standard output did not get there.
static LOST: OnceLock<String> = OnceLock::new();

/// Writes to standard output; a closed pipe (`candor … | head`) is not an error.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    said(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Takes note of what writing to standard output came to.
pub fn said(outcome: std::io::Result<()>) {
    if let Err(error) = outcome
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error.to_string());
    }
}

/// Fails if something did not get to standard output, such as on a full disk.
///
/// # Errors
/// Something did not.
pub fn all_said() -> Result<()> {
    let failed = |why: &String| {
        Fault::failed("writing to standard output", why)
            .expected("a place that has room")
            .hint("what is shown is not whole")
    };
    LOST.get().map_or(Ok(()), |why| Err(failed(why)))
}

/// Whether standard output and standard error are both shown to a person.
pub fn is_one() -> bool {
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

/// Writes a note to standard error.
pub fn note(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "{text}");
}

/// Writes an error to standard error.
pub fn complain(fault: &Fault) {
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let error = if coloured {
        "\u{1b}[1;31merror\u{1b}[0m"
    } else {
        "error"
    };
    note(&format!("{error}: {fault}"));
}

/// A bar on standard error; silent when that is not a terminal.
pub struct Bar {
    quiet: bool,
    shown: bool,
    drawn: Mutex<Option<ProgressBar>>,
}

impl Bar {
    /// A bar, or silence.
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            shown: !quiet && std::io::stderr().is_terminal(),
            drawn: Mutex::new(None),
        }
    }
}

impl Bar {
    /// A line above the bar, if one is drawn.
    fn above(&self, line: &str) {
        match self.drawn.lock().as_deref() {
            Ok(Some(bar)) => bar.suspend(|| note(line)),
            _ => note(line),
        }
    }
}

impl Progress for Bar {
    fn stage(&self, what: &str, total: usize) {
        if !self.shown {
            return;
        }
        let bar = ProgressBar::new(total as u64);
        if let Ok(style) =
            ProgressStyle::with_template("  {msg:34} {bar:20} {pos:>5}/{len:<5} {elapsed:>4}")
        {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message(what.to_owned());
        bar.tick();
        if let Ok(mut slot) = self.drawn.lock()
            && let Some(previous) = slot.replace(bar)
        {
            previous.finish_and_clear();
        }
    }

    fn step(&self, steps: usize) {
        if let Ok(slot) = self.drawn.lock()
            && let Some(bar) = slot.as_ref()
        {
            bar.inc(steps as u64);
        }
    }

    fn note(&self, how: &str) {
        if let Ok(slot) = self.drawn.lock()
            && let Some(bar) = slot.as_ref()
        {
            bar.set_message(how.to_owned());
        }
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            self.above(line);
        }
    }

    fn warn(&self, line: &str) {
        self.above(&format!("warning: {line}"));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Ok(slot) = self.drawn.lock()
            && let Some(bar) = slot.as_ref()
        {
            bar.finish_and_clear();
        }
    }
}
