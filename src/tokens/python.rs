//! What Python's side of a chat template does otherwise than Rust's: `json.dumps` and `strftime`.

use std::fmt::Write as _;
use std::io::{self, Read as _};

use minijinja::value::{Kwargs, Value};
use minijinja::{Error, ErrorKind};
use serde::Serialize as _;
use serde_json::ser::{Formatter, Serializer};

/// `tojson` as transformers defines it: `json.dumps` with `ensure_ascii` off. At most `allowed` bytes are made: an indent is as
/// wide as the template says, once for each level of each line.
pub(super) fn to_json(value: &Value, options: Kwargs, allowed: usize) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let separators: Option<(String, String)> = options
        .get::<Option<Vec<String>>>("separators")?
        .and_then(|pair| match pair.as_slice() {
            [item, key] => Some((item.clone(), key.clone())),
            _ => None,
        });
    let sorted: Option<bool> = options.get("sort_keys")?;
    let ascii: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let failed =
        |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let (item, key) = separators.unwrap_or_else(|| {
        let item = if indent.is_some() { "," } else { ", " };
        (item.to_owned(), ": ".to_owned())
    });
    let mut bytes = Bounded {
        bytes: Vec::new(),
        allowed,
    };
    let style = Style {
        indent,
        item,
        key,
        depth: 0,
        filled: false,
    };
    if sorted == Some(true) {
        // A list that holds another one many times is small until it is written.
        value
            .serialize(&mut Serializer::new(&mut bytes))
            .map_err(failed)?;
        let mut json: serde_json::Value = serde_json::from_slice(&bytes.bytes).map_err(failed)?;
        json.sort_all_objects();
        bytes.bytes.clear();
        json.serialize(&mut Serializer::with_formatter(&mut bytes, style))
            .map_err(failed)?;
    } else {
        value
            .serialize(&mut Serializer::with_formatter(&mut bytes, style))
            .map_err(failed)?;
    }
    let text = String::from_utf8(bytes.bytes)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(if ascii == Some(true) {
        escaped(&text)
    } else {
        text
    })
}

/// Characters outside ASCII as `\uXXXX`, in surrogate pairs where one does not do.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// Takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    allowed: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.allowed.saturating_sub(self.bytes.len()) {
            let found = format!("JSON of more than {} bytes", self.allowed);
            return Err(io::Error::other(found));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The separators of `json.dumps`.
struct Style {
    indent: Option<usize>,
    item: String,
    key: String,
    depth: usize,
    filled: bool,
}

impl Style {
    fn line<W: io::Write + ?Sized>(&self, writer: &mut W) -> io::Result<()> {
        let Some(width) = self.indent else {
            return Ok(());
        };
        writer.write_all(b"\n")?;
        let blanks = width.saturating_mul(self.depth) as u64;
        io::copy(&mut io::repeat(b' ').take(blanks), writer)?;
        Ok(())
    }

    fn open<W: io::Write + ?Sized>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        writer.write_all(bracket)
    }

    fn close<W: io::Write + ?Sized>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.filled {
            self.line(writer)?;
        }
        self.filled = true;
        writer.write_all(bracket)
    }

    fn next<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(self.item.as_bytes())?;
        }
        self.line(writer)
    }
}

impl Formatter for Style {
    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"[")
    }
    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"]")
    }
    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.next(writer, first)
    }
    fn end_array_value<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"{")
    }
    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"}")
    }
    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.next(writer, first)
    }
    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(self.key.as_bytes())
    }
    fn end_object_value<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];

/// `strftime` of a day, at midnight, given as days since 1 January 1970.
///
/// # Errors
/// A directive that is not known.
pub(super) fn strftime(format: &str, day: u32) -> Result<String, Error> {
    let (year, month, date) = civil(day);
    let name = |names: &'static [&'static str], index: u32| -> &'static str {
        names.get(index as usize).copied().unwrap_or("")
    };
    let (month_name, day_name) = (name(&MONTHS, month - 1), name(&DAYS, day % 7));
    let short = |name: &'static str| name.get(..3).unwrap_or(name);
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut directive = rest.next();
        let bare = directive == Some('-');
        if bare {
            directive = rest.next();
        }
        let padded = |number: u32| {
            if bare {
                number.to_string()
            } else {
                format!("{number:02}")
            }
        };
        let text = match directive {
            Some('d') => padded(date),
            Some('m') => padded(month),
            Some('y') => padded(year % 100),
            Some('H' | 'M' | 'S') => padded(0),
            Some('I') => padded(12),
            Some('Y') => year.to_string(),
            Some('B') => month_name.to_owned(),
            Some('b' | 'h') => short(month_name).to_owned(),
            Some('A') => day_name.to_owned(),
            Some('a') => short(day_name).to_owned(),
            Some('p') => "AM".to_owned(),
            Some('F') => format!("{year}-{month:02}-{date:02}"),
            Some('T') => "00:00:00".to_owned(),
            Some('%') => "%".to_owned(),
            other => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!(
                        "strftime_now with the directive `%{}`",
                        other.unwrap_or(' ')
                    ),
                ));
            }
        };
        out.push_str(&text);
    }
    Ok(out)
}

/// Year, month and day of the month, in the Gregorian calendar.
fn civil(day: u32) -> (u32, u32, u32) {
    // Eras of 400 years, each of which begins on 1 March, so that a leap day is the last of its year.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year + era * 400 + u32::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days and texts of Python's `datetime.date.fromordinal(719163 + day).strftime(...)`.
    #[test]
    fn days_are_pythons() {
        let format = "%d %b %Y|%A %a %B|%m/%d/%y|%F|%-d.%-m.|%H:%M:%S %%";
        let cases = [
            (
                0,
                "01 Jan 1970|Thursday Thu January|01/01/70|1970-01-01|1.1.|00:00:00 %",
            ),
            (
                11_016,
                "29 Feb 2000|Tuesday Tue February|02/29/00|2000-02-29|29.2.|00:00:00 %",
            ),
            (
                19_930,
                "26 Jul 2024|Friday Fri July|07/26/24|2024-07-26|26.7.|00:00:00 %",
            ),
            (
                47_541,
                "01 Mar 2100|Monday Mon March|03/01/00|2100-03-01|1.3.|00:00:00 %",
            ),
        ];
        for (day, expected) in cases {
            assert_eq!(strftime(format, day).ok().as_deref(), Some(expected));
        }
        assert!(strftime("%Q", 0).is_err());
        assert!(strftime("%", 0).is_err());
    }
}
