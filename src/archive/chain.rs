//! The chain of evidence files: each line holds the digest of its file and of the line before it, so that none can be changed, left out or put
//! elsewhere without changing the last.

use serde::{Deserialize, Serialize};

use crate::digest::sha256_of;

/// One file of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The file, relative to the evidence folder, with `/`.
    pub file: String,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of the line before; of the plan in the first line.
    pub previous: String,
}

/// Links in the order in which the files were made.
#[derive(Debug, Clone)]
pub struct Chain {
    links: Vec<Link>,
    head: String,
}

impl Chain {
    /// A chain that hangs on `root`, the digest of the plan.
    #[must_use]
    pub fn new(root: String) -> Self {
        Self {
            links: Vec::new(),
            head: root,
        }
    }

    /// Its links, first to last.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The digest of the last line, or of the plan where there is none.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Adds a file and gives the line that says so, with its line break.
    ///
    /// # Errors
    /// Never for plain data; the type is that of the library underneath.
    pub fn add(&mut self, file: &str, bytes: &[u8]) -> serde_json::Result<String> {
        let link = Link {
            file: file.to_owned(),
            sha256: sha256_of(bytes),
            bytes: bytes.len() as u64,
            previous: self.head.clone(),
        };
        let line = serde_json::to_string(&link)?;
        self.take(link, &line);
        Ok(line + "\n")
    }

    /// Takes a line that was read, if it is exactly what would be written there.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn accept(&mut self, line: &str) -> Result<(), String> {
        let link: Link = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if link.previous != self.head {
            return Err("it does not follow from the line before it".to_owned());
        }
        if serde_json::to_string(&link).is_ok_and(|written| written != line) {
            return Err("it is not written as Candor writes it".to_owned());
        }
        if self.links.iter().any(|other| other.file == link.file) {
            return Err(format!("`{}` is in it twice", link.file));
        }
        self.take(link, line);
        Ok(())
    }

    fn take(&mut self, link: Link, line: &str) {
        self.head = sha256_of(line.as_bytes());
        self.links.push(link);
    }
}
