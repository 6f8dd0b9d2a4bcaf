//! How long work says where it stands.

/// Told where the work stands. The command line draws a bar; tests stay silent.
pub trait Progress: Sync {
    /// A stage of `total` steps begins.
    fn stage(&self, what: &str, total: usize);
    /// So many more steps are done.
    fn step(&self, steps: usize);
    /// How the stage goes, in a few words.
    fn note(&self, _how: &str) {}
    /// A line that is worth knowing before the work begins.
    fn say(&self, _line: &str) {}
    /// A line that has to be read.
    fn warn(&self, _line: &str) {}
}

/// Says nothing.
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _what: &str, _total: usize) {}
    fn step(&self, _steps: usize) {}
}
