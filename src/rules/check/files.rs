//! Finding and reading files of rules, or of what else is checked as they are.

use std::fs;
use std::path::{Path, PathBuf};

use super::diagnostic::{Code, Diagnostic};
use crate::files;

/// Such a file is a few pages of text; whatever is larger is not one.
const MOST_BYTES: u64 = 1 << 20;

/// The files of `what` among the paths; what is not there or holds none is added to `found`.
pub(in crate::rules) fn of<P: AsRef<Path>>(
    paths: &[P],
    what: &str,
    found: &mut Vec<Diagnostic>,
) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if paths.is_empty() {
        found.push(unreadable(
            Path::new("."),
            format!("no {what} file was named"),
            None,
        ));
    }
    for path in paths.iter().map(AsRef::as_ref) {
        let mut here = Vec::new();
        if path.is_dir() {
            if let Err(diagnostic) = walk(path, &mut here) {
                found.push(*diagnostic);
                continue;
            }
            if here.is_empty() {
                let hint = format!("{what} files end in .yaml or .yml");
                found.push(unreadable(
                    path,
                    format!("the folder holds no {what} files"),
                    Some(hint),
                ));
            }
            here.sort();
        } else {
            here.push(path.to_owned());
        }
        for file in here {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    files
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<Diagnostic>> {
    let failed = |error: std::io::Error| {
        Box::new(unreadable(
            folder,
            format!("the folder cannot be read: {error}"),
            None,
        ))
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        // A link to a folder is not followed: it could lead back here.
        if entry.file_type().map_err(failed)?.is_dir() {
            walk(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// The text of a file of `what`.
pub(in crate::rules) fn text(file: &Path, what: &str) -> Result<String, Box<Diagnostic>> {
    let failed = |error: std::io::Error| {
        Box::new(unreadable(
            file,
            format!("the file cannot be read: {error}"),
            None,
        ))
    };
    let size = fs::metadata(file).map_err(failed)?.len();
    if size > MOST_BYTES {
        let message = format!("the file has {size} bytes, a {what} file at most {MOST_BYTES}");
        return Err(Box::new(unreadable(file, message, None)));
    }
    files::protect(file);
    let bytes = fs::read(file).map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Box::new(unreadable(
            file,
            format!("the file is not UTF-8 (byte {at})"),
            None,
        ))
    })
}

fn unreadable(path: &Path, message: String, hint: Option<String>) -> Diagnostic {
    Diagnostic {
        file: path.to_owned(),
        line: 1,
        column: 1,
        severity: Code::Unreadable.level(),
        code: Code::Unreadable,
        message,
        hint,
        excerpt: String::new(),
        width: 1,
    }
}
