//! Dates, times and timestamps: microseconds, the proleptic Gregorian calendar, ISO text.

use super::InvalidText;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;
/// Days from 1970-01-01 to 2000-01-01, where Postgres counts from.
const EPOCH: i64 = 10_957;
/// Postgres' last timestamp is in this year, its last date far behind it.
const MAX_YEAR: i64 = 294_276;
const MAX_DATE_YEAR: i64 = 5_874_897;

/// Days since 2000-01-01 of a day of the calendar (year 0 is 1 BC).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    era * 146_097 + day_of_era - 719_468 - EPOCH
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + EPOCH + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year.rem_euclid(4) == 0
            && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0) =>
        {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `2024-02-29`, with more digits of the year when it needs them. The era stands elsewhere.
fn parse_day(text: &str, bc: bool) -> Result<i64, InvalidText> {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(InvalidText);
    };
    if year.len() < 4 {
        return Err(InvalidText);
    }
    let year = digits(year, 7)?;
    let month = digits(month, 2)?;
    let day = digits(day, 2)?;
    if year == 0 || year > MAX_DATE_YEAR || !(1..=12).contains(&month) {
        return Err(InvalidText);
    }
    let year = if bc { 1 - year } else { year };
    if year < -4713 || !(1..=month_length(year, month)).contains(&day) {
        return Err(InvalidText);
    }
    Ok(days_from_civil(year, month, day))
}

fn digits(text: &str, most: usize) -> Result<i64, InvalidText> {
    if text.is_empty() || text.len() > most || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidText);
    }
    text.parse().map_err(|_| InvalidText)
}

fn era(text: &str) -> (&str, bool) {
    match text.strip_suffix("BC").or_else(|| text.strip_suffix("bc")) {
        Some(rest) => (rest.trim_end(), true),
        None => (text, false),
    }
}

pub(super) fn parse_date(text: &str) -> Result<i32, InvalidText> {
    match text {
        "infinity" => return Ok(i32::MAX),
        "-infinity" => return Ok(i32::MIN),
        "epoch" => return Ok(-EPOCH as i32),
        _ => {}
    }
    let (text, bc) = era(text);
    // A time behind the day is read and dropped, as Postgres does.
    let day = match text.split_once([' ', 'T']) {
        Some((day, time)) => {
            parse_zoned_time(time)?;
            day
        }
        None => text,
    };
    i32::try_from(parse_day(day, bc)?).map_err(|_| InvalidText)
}

pub(super) fn date_text(days: i32) -> String {
    match days {
        i32::MAX => return "infinity".into(),
        i32::MIN => return "-infinity".into(),
        _ => {}
    }
    let (text, bc) = day_text(days.into());
    if bc { text + " BC" } else { text }
}

fn day_text(days: i64) -> (String, bool) {
    let (year, month, day) = civil_from_days(days);
    let (year, bc) = if year <= 0 {
        (1 - year, true)
    } else {
        (year, false)
    };
    (format!("{year:04}-{month:02}-{day:02}"), bc)
}

/// `HH:MM[:SS[.ffffff]]`, rounded to microseconds; 24:00 is a time of its own.
pub(super) fn parse_time(text: &str) -> Result<i64, InvalidText> {
    let mut parts = text.split(':');
    let hour = digits(parts.next().unwrap_or(""), 2)?;
    let minute = digits(parts.next().unwrap_or(""), 2)?;
    let seconds = match parts.next() {
        Some(seconds) => parse_seconds(seconds)?,
        None => 0,
    };
    let whole = hour * 3600 * SECOND + minute * 60 * SECOND + seconds;
    let valid = parts.next().is_none() && minute < 60 && seconds <= 60 * SECOND && whole <= DAY;
    if valid { Ok(whole) } else { Err(InvalidText) }
}

/// `SS[.fff…]` in microseconds, rounded to the nearest.
pub(super) fn parse_seconds(text: &str) -> Result<i64, InvalidText> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let whole = digits(whole, 2)?;
    if !part.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidText);
    }
    let mut micros = 0;
    for place in 0..6 {
        micros = micros * 10
            + part
                .as_bytes()
                .get(place)
                .map_or(0, |b| i64::from(b - b'0'));
    }
    if part.as_bytes().get(6).is_some_and(|b| *b >= b'5') {
        micros += 1;
    }
    Ok(whole * SECOND + micros)
}

pub(super) fn time_text(micros: i64) -> String {
    let (seconds, part) = (micros / SECOND, micros % SECOND);
    let mut text = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    push_fraction(&mut text, part);
    text
}

/// `.5` of 500,000; nothing of 0.
pub(super) fn push_fraction(text: &mut String, micros: i64) {
    if micros != 0 {
        let digits = format!("{:06}", micros.abs());
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
}

/// A time and, behind it, an offset from UTC in microseconds if there is one.
fn parse_zoned_time(text: &str) -> Result<(i64, Option<i64>), InvalidText> {
    let text = text.trim();
    if let Some(time) = text
        .strip_suffix(['Z', 'z'])
        .or_else(|| text.strip_suffix("UTC"))
    {
        return Ok((parse_time(time.trim_end())?, Some(0)));
    }
    match text.rfind(['+', '-']) {
        Some(at) => {
            let offset = parse_offset(&text[at..])?;
            Ok((parse_time(text[..at].trim_end())?, Some(offset)))
        }
        None => Ok((parse_time(text)?, None)),
    }
}

/// `+02`, `-03:30`, `+0530`, `+05:30:10`: microseconds east of UTC.
pub(crate) fn parse_offset(text: &str) -> Result<i64, InvalidText> {
    let negative = text.starts_with('-');
    let text = text.strip_prefix(['+', '-']).ok_or(InvalidText)?;
    let (hours, minutes, seconds) = match text.split(':').collect::<Vec<_>>()[..] {
        [all] if all.len() == 4 && all.is_ascii() => {
            (digits(&all[..2], 2)?, digits(&all[2..], 2)?, 0)
        }
        [hours] => (digits(hours, 2)?, 0, 0),
        [hours, minutes] => (digits(hours, 2)?, digits(minutes, 2)?, 0),
        [hours, minutes, seconds] => (digits(hours, 2)?, digits(minutes, 2)?, digits(seconds, 2)?),
        _ => return Err(InvalidText),
    };
    if hours > 15 || minutes > 59 || seconds > 59 {
        return Err(InvalidText);
    }
    let offset = (hours * 3600 + minutes * 60 + seconds) * SECOND;
    Ok(if negative { -offset } else { offset })
}

/// A day and perhaps a time. The offset counts where the type has a zone, else it is dropped.
pub(super) fn parse_timestamp(text: &str, zoned: bool) -> Result<i64, InvalidText> {
    match text {
        "infinity" => return Ok(i64::MAX),
        "-infinity" => return Ok(i64::MIN),
        "epoch" => return Ok(-EPOCH * DAY),
        _ => {}
    }
    let (text, bc) = era(text);
    let (day, time, offset) = match text.split_once([' ', 'T']) {
        Some((day, time)) => {
            let (time, offset) = parse_zoned_time(time)?;
            (day, time, offset.filter(|_| zoned).unwrap_or(0))
        }
        None => (text, 0, 0),
    };
    timestamp_from_parts(parse_day(day, bc)?, time - offset).ok_or(InvalidText)
}

fn timestamp_from_parts(days: i64, micros: i64) -> Option<i64> {
    let last = days_from_civil(MAX_YEAR + 1, 1, 1);
    let value = days.checked_mul(DAY)?.checked_add(micros)?;
    (value < last.checked_mul(DAY)?).then_some(value)
}

pub(super) fn timestamp_text(micros: i64, zoned: bool) -> String {
    match micros {
        i64::MAX => return "infinity".into(),
        i64::MIN => return "-infinity".into(),
        _ => {}
    }
    let (day, bc) = day_text(micros.div_euclid(DAY));
    let time = time_text(micros.rem_euclid(DAY));
    let zone = if zoned { "+00" } else { "" };
    format!("{day} {time}{zone}{}", if bc { " BC" } else { "" })
}

/// The timestamp at midnight of a date; the infinities stay.
pub(crate) fn date_from_days(days: i32) -> Option<i64> {
    match days {
        i32::MAX => Some(i64::MAX),
        i32::MIN => Some(i64::MIN),
        days => timestamp_from_parts(days.into(), 0),
    }
}

/// The date of a timestamp; the infinities stay.
pub(crate) fn days_of_timestamp(micros: i64) -> i32 {
    match micros {
        i64::MAX => i32::MAX,
        i64::MIN => i32::MIN,
        // A timestamp's days fit: there are at most 2^63 / DAY of them.
        micros => micros.div_euclid(DAY) as i32,
    }
}

/// Adds months to a timestamp: the day is the last of the month where it would be behind it.
pub(super) fn add_months(micros: i64, months: i64) -> Option<i64> {
    let (year, month, day) = civil_from_days(micros.div_euclid(DAY));
    let index = year
        .checked_mul(12)?
        .checked_add(month - 1)?
        .checked_add(months)?;
    let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
    if !(-4713..=MAX_YEAR).contains(&year) {
        return None;
    }
    let day = day.min(month_length(year, month));
    timestamp_from_parts(days_from_civil(year, month, day), micros.rem_euclid(DAY))
}

/// Adds days and microseconds to a timestamp, within its bounds.
pub(super) fn add_days(micros: i64, days: i64, more: i64) -> Option<i64> {
    let value = micros
        .checked_add(days.checked_mul(DAY)?)?
        .checked_add(more)?;
    timestamp_from_parts(value.div_euclid(DAY), value.rem_euclid(DAY))
}
