//! Values of Postgres types: read from their text, compared, and written back as Postgres does.

mod array;
mod datetime;
mod interval;
mod number;
mod types;

pub(crate) use array::Array;
pub(crate) use datetime::{DAY, date_from_days, days_of_timestamp};
pub(crate) use interval::Interval;
pub(crate) use number::{Numeric, divide};
pub use types::{EnumType, Type};

use smol_str::SmolStr;
use std::cmp::Ordering;

/// A value of a known type. Which type it is, is known beside it; two values are compared only
/// when their types are the same.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// float4 too: every float4 is a float8, and which it is, the type says.
    Float(f64),
    Numeric(Numeric),
    /// Text, enum labels, and what has no better form.
    Text(SmolStr),
    Uuid(u128),
    /// Days since 2000-01-01; the two ends are the infinities.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 2000-01-01; the two ends are the infinities.
    Timestamp(i64),
    Interval(Interval),
    Array(Box<Array>),
}

/// The text is not a value of the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidText;

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub(crate) fn text(text: impl Into<SmolStr>) -> Value {
        Value::Text(text.into())
    }

    /// Reads the text form of a value, as literals have it and as rows have it.
    pub(crate) fn parse(text: &str, ty: &Type) -> Result<Value, InvalidText> {
        let trimmed = || text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
        Ok(match ty {
            Type::Bool => Value::Bool(parse_bool(trimmed()).ok_or(InvalidText)?),
            Type::Int2 => Value::Int(trimmed().parse::<i16>().map_err(|_| InvalidText)?.into()),
            Type::Int4 => Value::Int(trimmed().parse::<i32>().map_err(|_| InvalidText)?.into()),
            Type::Int8 => Value::Int(trimmed().parse::<i64>().map_err(|_| InvalidText)?),
            Type::Float4 => Value::Float(number::parse_float4(trimmed())?),
            Type::Float8 => Value::Float(number::parse_float8(trimmed())?),
            Type::Numeric => Value::Numeric(Numeric::parse(trimmed())?),
            Type::Text | Type::Varchar | Type::Name | Type::Bpchar => Value::text(text),
            Type::Uuid => Value::Uuid(parse_uuid(trimmed()).ok_or(InvalidText)?),
            Type::Date => Value::Date(datetime::parse_date(trimmed())?),
            Type::Time => Value::Time(datetime::parse_time(trimmed())?),
            Type::Timestamp => Value::Timestamp(datetime::parse_timestamp(trimmed(), false)?),
            Type::Timestamptz => Value::Timestamp(datetime::parse_timestamp(trimmed(), true)?),
            Type::Interval => Value::Interval(Interval::parse(trimmed())?),
            Type::Enum(e) if e.labels.iter().any(|label| label == text) => Value::text(text),
            Type::Enum(_) => return Err(InvalidText),
            Type::Array(element) => Value::Array(Box::new(Array::parse(trimmed(), element)?)),
            Type::Other(_) => Value::text(text),
        })
    }

    /// Writes the value as Postgres does, under ISO dates, UTC, ISO 8601 intervals and the shortest
    /// exact floats. `None` is null.
    pub(crate) fn to_text(&self, ty: &Type) -> Option<String> {
        Some(match self {
            Value::Null => return None,
            Value::Bool(b) => b.to_string(),
            Value::Int(i) => i.to_string(),
            Value::Float(f) => number::float_text(*f, matches!(ty, Type::Float4)),
            Value::Numeric(n) => n.to_string(),
            Value::Text(s) => s.to_string(),
            Value::Uuid(u) => uuid_text(*u),
            Value::Date(d) => datetime::date_text(*d),
            Value::Time(t) => datetime::time_text(*t),
            Value::Timestamp(t) => datetime::timestamp_text(*t, matches!(ty, Type::Timestamptz)),
            Value::Interval(i) => i.to_string(),
            Value::Array(a) => a.to_text(ty.element().unwrap_or(ty)),
        })
    }

    /// The order of two values of one type, neither of which is null. Text is ordered by its
    /// bytes (the collation `C`); NaN equals itself and comes last.
    pub(crate) fn order(&self, other: &Value, ty: &Type) -> Ordering {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Float(a), Value::Float(b)) => number::order_floats(*a, *b),
            (Value::Numeric(a), Value::Numeric(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => match ty {
                Type::Bpchar => a.trim_end_matches(' ').cmp(b.trim_end_matches(' ')),
                Type::Enum(e) => {
                    let place = |s: &SmolStr| e.labels.iter().position(|label| label == s);
                    place(a).cmp(&place(b))
                }
                _ => a.as_bytes().cmp(b.as_bytes()),
            },
            (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
            (Value::Date(a), Value::Date(b)) => a.cmp(b),
            (Value::Time(a), Value::Time(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => {
                a.cmp(b)
            }
            (Value::Interval(a), Value::Interval(b)) => a.span().cmp(&b.span()),
            (Value::Array(a), Value::Array(b)) => a.order(b, ty.element().unwrap_or(ty)),
            // The resolver never compares values of different types.
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Int(_) => 2,
            Value::Float(_) => 3,
            Value::Numeric(_) => 4,
            Value::Text(_) => 5,
            Value::Uuid(_) => 6,
            Value::Date(_) => 7,
            Value::Time(_) => 8,
            Value::Timestamp(_) => 9,
            Value::Interval(_) => 10,
            Value::Array(_) => 11,
        }
    }
}

/// Any prefix of the words that names one of them, as Postgres reads it.
fn parse_bool(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    let prefix = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    match () {
        () if prefix("true", 1) || prefix("yes", 1) || text == "on" || text == "1" => Some(true),
        () if prefix("false", 1) || prefix("no", 1) || prefix("off", 2) || text == "0" => {
            Some(false)
        }
        () => None,
    }
}

/// 32 hexadecimal digits; braces around and a hyphen after any four digits are allowed.
fn parse_uuid(text: &str) -> Option<u128> {
    let text = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let mut value = 0u128;
    let mut digits = 0;
    let mut hyphen = false;
    for c in text.chars() {
        if c == '-' {
            if hyphen || digits % 4 != 0 || digits == 0 || digits == 32 {
                return None;
            }
            hyphen = true;
            continue;
        }
        hyphen = false;
        if digits == 32 {
            return None;
        }
        value = value << 4 | u128::from(c.to_digit(16)?);
        digits += 1;
    }
    (digits == 32).then_some(value)
}

fn uuid_text(value: u128) -> String {
    let hex = format!("{value:032x}");
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

#[cfg(test)]
mod tests;
