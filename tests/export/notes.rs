//! Numbered reasons below the tables.

use std::fmt::Write;

#[derive(Default)]
pub struct Notes(Vec<String>);

impl Notes {
    /// The number of a reason; the same reason has the same number.
    pub fn number(&mut self, why: &str) -> usize {
        if let Some(place) = self.0.iter().position(|known| known == why) {
            return place + 1;
        }
        self.0.push(why.to_owned());
        self.0.len()
    }

    pub fn write(&self, page: &mut String) {
        if self.0.is_empty() {
            return;
        }
        let _ = write!(page, "\n## Why a site is not there\n\n");
        for (place, why) in self.0.iter().enumerate() {
            let _ = writeln!(page, "{}. {why}", place + 1);
        }
    }
}
