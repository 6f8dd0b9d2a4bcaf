//! Days of the calendar.

use std::fmt;

const MONTHS: [(&str, u8); 12] = [
    ("January", 31),
    ("February", 28),
    ("March", 31),
    ("April", 30),
    ("May", 31),
    ("June", 30),
    ("July", 31),
    ("August", 31),
    ("September", 30),
    ("October", 31),
    ("November", 30),
    ("December", 31),
];

/// A day of the Gregorian calendar, earlier days first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    of_month: u8,
}

impl Day {
    /// Reads `YYYY-MM-DD`.
    ///
    /// # Errors
    /// What is wrong with `text`, to stand behind its name: another form, or a day that no calendar has.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("is `{text}`, expected a day as YYYY-MM-DD");
        let number = |part: &str, digits: usize| -> Option<u16> {
            let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| plain)
        };
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts.as_slice() else {
            return Err(form());
        };
        let (Some(year), Some(month), Some(day)) =
            (number(year, 4), number(month, 2), number(day, 2))
        else {
            return Err(form());
        };
        let of_year = usize::from(month).checked_sub(1);
        let Some((name, days)) = of_year.and_then(|month| MONTHS.get(month)) else {
            return Err(format!("is `{text}`: a year has no month {month:02}"));
        };
        let leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = u16::from(*days) + u16::from(leap);
        match (u8::try_from(month), u8::try_from(day)) {
            (Ok(month), Ok(of_month)) if (1..=days).contains(&day) => Ok(Self {
                year,
                month,
                of_month,
            }),
            _ => Err(format!("is `{text}`: {name} {year} has {days} days")),
        }
    }

    /// The day of a time in RFC 3339, in the zone that the time is written in.
    #[must_use]
    pub fn of_time(time: &str) -> Option<Self> {
        Self::parse(time.get(..10)?).ok()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.of_month)
    }
}
