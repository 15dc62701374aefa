//! Intervals: months, days and microseconds apart, as Postgres keeps them.

use super::InvalidText;
use super::datetime::{self, DAY, SECOND};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) months: i32,
    pub(crate) days: i32,
    pub(crate) micros: i64,
}

impl Interval {
    /// Reads `P1Y2M3DT4H5M6.7S` and `1 year 2 mons -3 days 04:05:06.7`, with `ago`.
    pub(super) fn parse(text: &str) -> Result<Interval, InvalidText> {
        match text.strip_prefix('P') {
            Some(rest) => iso(rest),
            None => words(text),
        }
    }

    /// The length that comparison goes by: a month is 30 days, a day 24 hours.
    pub(crate) fn span(&self) -> i128 {
        let days = i128::from(self.months) * 30 + i128::from(self.days);
        days * i128::from(DAY) + i128::from(self.micros)
    }

    pub(crate) fn negate(&self) -> Option<Interval> {
        Some(Interval {
            months: self.months.checked_neg()?,
            days: self.days.checked_neg()?,
            micros: self.micros.checked_neg()?,
        })
    }

    pub(crate) fn add(&self, other: &Interval) -> Option<Interval> {
        Some(Interval {
            months: self.months.checked_add(other.months)?,
            days: self.days.checked_add(other.days)?,
            micros: self.micros.checked_add(other.micros)?,
        })
    }

    /// The timestamp moved by this; infinities stay.
    pub(crate) fn add_to(&self, timestamp: i64) -> Option<i64> {
        if timestamp == i64::MAX || timestamp == i64::MIN {
            return Some(timestamp);
        }
        let moved = match self.months {
            0 => timestamp,
            months => datetime::add_months(timestamp, months.into())?,
        };
        datetime::add_days(moved, self.days.into(), self.micros)
    }

    /// Whole days out of the hours, with one sign.
    pub(crate) fn justify_hours(mut self) -> Option<Interval> {
        let whole = i32::try_from(self.micros / DAY).ok()?;
        self.micros %= DAY;
        self.days = self.days.checked_add(whole)?;
        if self.days > 0 && self.micros < 0 {
            self.micros += DAY;
            self.days -= 1;
        } else if self.days < 0 && self.micros > 0 {
            self.micros -= DAY;
            self.days += 1;
        }
        Some(self)
    }

    /// Whole months out of the days, with one sign.
    pub(crate) fn justify_days(mut self) -> Option<Interval> {
        let whole = self.days / 30;
        self.days %= 30;
        self.months = self.months.checked_add(whole)?;
        if self.months > 0 && self.days < 0 {
            self.days += 30;
            self.months -= 1;
        } else if self.months < 0 && self.days > 0 {
            self.days -= 30;
            self.months += 1;
        }
        Some(self)
    }

    /// Both, with one sign for all.
    pub(crate) fn justify(self) -> Option<Interval> {
        let mut i = self.justify_hours()?.justify_days()?;
        if i.months > 0 && (i.days < 0 || (i.days == 0 && i.micros < 0)) {
            i.days += 30;
            i.months -= 1;
        } else if i.months < 0 && (i.days > 0 || (i.days == 0 && i.micros > 0)) {
            i.days -= 30;
            i.months += 1;
        }
        i.justify_hours()
    }
}

#[derive(Default)]
struct Sum {
    months: i64,
    days: i64,
    micros: i64,
}

impl Sum {
    fn add(&mut self, count: f64, unit: Unit) {
        let (months, days, micros) = match unit {
            Unit::Month(n) => {
                let all = count * n as f64;
                let days = (all - all.trunc()) * 30.0;
                (
                    all.trunc(),
                    days.trunc(),
                    (days - days.trunc()) * DAY as f64,
                )
            }
            Unit::Day(n) => {
                let all = count * n as f64;
                (0.0, all.trunc(), (all - all.trunc()) * DAY as f64)
            }
            Unit::Micro(n) => (0.0, 0.0, count * n as f64),
        };
        self.months += months as i64;
        self.days += days as i64;
        self.micros += micros.round() as i64;
    }

    fn finish(self) -> Result<Interval, InvalidText> {
        Ok(Interval {
            months: i32::try_from(self.months).map_err(|_| InvalidText)?,
            days: i32::try_from(self.days).map_err(|_| InvalidText)?,
            micros: self.micros,
        })
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Month(i64),
    Day(i64),
    Micro(i64),
}

fn count(text: &str) -> Result<f64, InvalidText> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.".contains(&b));
    if text.is_empty() || text.len() > 18 || !plain {
        return Err(InvalidText);
    }
    text.parse().map_err(|_| InvalidText)
}

fn iso(text: &str) -> Result<Interval, InvalidText> {
    let mut sum = Sum::default();
    let mut time = false;
    let mut rest = text;
    if rest.is_empty() {
        return Err(InvalidText);
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            if time || after.is_empty() {
                return Err(InvalidText);
            }
            time = true;
            rest = after;
            continue;
        }
        let at = rest
            .find(|c: char| c.is_ascii_alphabetic())
            .ok_or(InvalidText)?;
        let unit = match (&rest[at..=at], time) {
            ("Y", false) => Unit::Month(12),
            ("M", false) => Unit::Month(1),
            ("W", false) => Unit::Day(7),
            ("D", false) => Unit::Day(1),
            ("H", true) => Unit::Micro(3600 * SECOND),
            ("M", true) => Unit::Micro(60 * SECOND),
            ("S", true) => Unit::Micro(SECOND),
            _ => return Err(InvalidText),
        };
        sum.add(count(&rest[..at])?, unit);
        rest = &rest[at + 1..];
    }
    sum.finish()
}

fn words(text: &str) -> Result<Interval, InvalidText> {
    let mut sum = Sum::default();
    let mut words = text.split_ascii_whitespace().peekable();
    let mut any = false;
    while let Some(word) = words.next() {
        if word == "ago" && any && words.peek().is_none() {
            let i = sum.finish()?;
            return i.negate().ok_or(InvalidText);
        }
        any = true;
        if word.contains(':') {
            let negative = word.starts_with('-');
            let clock = word.strip_prefix(['+', '-']).unwrap_or(word);
            let (hours, rest) = clock.split_once(':').ok_or(InvalidText)?;
            let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, "0"));
            let hours: i64 = hours.parse().map_err(|_| InvalidText)?;
            let minutes: i64 = minutes.parse().map_err(|_| InvalidText)?;
            if !(0..=1_000_000_000).contains(&hours) || !(0..60).contains(&minutes) {
                return Err(InvalidText);
            }
            let micros =
                hours * 3600 * SECOND + minutes * 60 * SECOND + datetime::parse_seconds(seconds)?;
            sum.micros += if negative { -micros } else { micros };
            continue;
        }
        // `2h` as well as `2 h`; a bare number at the end counts seconds.
        let split = word
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(word.len());
        let number = count(&word[..split])?;
        let unit = match &word[split..] {
            "" => words.next().unwrap_or("second"),
            unit => unit,
        };
        sum.add(number, unit_of(unit)?);
    }
    if any { sum.finish() } else { Err(InvalidText) }
}

fn unit_of(word: &str) -> Result<Unit, InvalidText> {
    Ok(match word.to_ascii_lowercase().as_str() {
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Month(12),
        "mon" | "mons" | "month" | "months" => Unit::Month(1),
        "w" | "week" | "weeks" => Unit::Day(7),
        "d" | "day" | "days" => Unit::Day(1),
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Micro(3600 * SECOND),
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Micro(60 * SECOND),
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Micro(SECOND),
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => Unit::Micro(1000),
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" => Unit::Micro(1),
        _ => return Err(InvalidText),
    })
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.months == 0 && self.days == 0 && self.micros == 0 {
            return f.write_str("PT0S");
        }
        f.write_str("P")?;
        let mut part = |value: i64, unit: &str| match value {
            0 => Ok(()),
            value => write!(f, "{value}{unit}"),
        };
        part((self.months / 12).into(), "Y")?;
        part((self.months % 12).into(), "M")?;
        part(self.days.into(), "D")?;
        if self.micros == 0 {
            return Ok(());
        }
        f.write_str("T")?;
        let (seconds, part) = (self.micros / SECOND, self.micros % SECOND);
        let mut unit = |value: i64, unit: &str| match value {
            0 => Ok(()),
            value => write!(f, "{value}{unit}"),
        };
        unit(seconds / 3600, "H")?;
        unit(seconds / 60 % 60, "M")?;
        if seconds % 60 != 0 || part != 0 {
            let mut text = if self.micros < 0 {
                "-".to_owned()
            } else {
                String::new()
            };
            text.push_str(&(seconds % 60).abs().to_string());
            datetime::push_fraction(&mut text, part);
            write!(f, "{text}S")?;
        }
        Ok(())
    }
}
