//! Which types become which, by themselves and by a cast, and how.

use super::EvalError;
use crate::value::{Array, DAY, Numeric, Type, Value, date_from_days, days_of_timestamp};

/// How a type becomes a wider one by itself.
pub(super) enum Widen {
    /// Its values are already those of the wider type.
    Same,
    /// Its values are converted.
    Cast,
    No,
}

fn rank(ty: &Type) -> Option<u8> {
    Some(match ty {
        Type::Int2 => 0,
        Type::Int4 => 1,
        Type::Int8 => 2,
        Type::Numeric => 3,
        Type::Float4 => 4,
        Type::Float8 => 5,
        _ => return None,
    })
}

/// The type that values of both are compared as.
pub(super) fn common(a: &Type, b: &Type) -> Option<Type> {
    if a == b {
        return Some(a.clone());
    }
    if let (Some(ra), Some(rb)) = (rank(a), rank(b)) {
        return Some(if ra.max(rb) >= 4 {
            Type::Float8
        } else if ra > rb {
            a.clone()
        } else {
            b.clone()
        });
    }
    match (a, b) {
        (a, b) if a.is_text() && b.is_text() => Some(Type::Text),
        (Type::Date, Type::Timestamp | Type::Timestamptz) => Some(b.clone()),
        (Type::Timestamp | Type::Timestamptz, Type::Date) => Some(a.clone()),
        (Type::Timestamp, Type::Timestamptz) | (Type::Timestamptz, Type::Timestamp) => {
            Some(Type::Timestamptz)
        }
        (Type::Array(a), Type::Array(b)) => common(a, b).map(Type::array),
        _ => None,
    }
}

pub(super) fn widen(from: &Type, to: &Type) -> Widen {
    if from == to {
        return Widen::Same;
    }
    if let (Some(a), Some(b)) = (rank(from), rank(to)) {
        return match (a, b) {
            _ if from.is_integer() && to.is_integer() => {
                if a <= b || *to == Type::Int4 && *from == Type::Int2 {
                    Widen::Same
                } else {
                    Widen::No
                }
            }
            (4, 5) => Widen::Same,
            _ if a <= b => Widen::Cast,
            _ => Widen::No,
        };
    }
    match (from, to) {
        // Blanks at the end of a bpchar are not part of it as text.
        (Type::Bpchar, to) if to.is_text() => Widen::Cast,
        (from, Type::Bpchar) if from.is_text() => Widen::No,
        (from, to) if from.is_text() && to.is_text() => Widen::Same,
        (Type::Date, Type::Timestamp | Type::Timestamptz) => Widen::Cast,
        (Type::Timestamp, Type::Timestamptz) => Widen::Cast,
        (Type::Array(a), Type::Array(b)) => match widen(a, b) {
            Widen::No => Widen::No,
            _ => Widen::Cast,
        },
        _ => Widen::No,
    }
}

/// Returns true if `::` converts `from` into `to`.
pub(super) fn can_cast(from: &Type, to: &Type) -> bool {
    use Type::*;
    match (from, to) {
        (from, to) if from == to => true,
        (Other(_), _) | (_, Other(_)) => false,
        (from, to) if from.is_text() || to.is_text() => true,
        (from, to) if from.is_number() && to.is_number() => true,
        (Bool, Int4) | (Int4, Bool) => true,
        (Date, Timestamp | Timestamptz) | (Timestamp | Timestamptz, Date | Time) => true,
        (Timestamp, Timestamptz) | (Timestamptz, Timestamp) => true,
        (Time, Interval) | (Interval, Time) => true,
        (Array(a), Array(b)) => can_cast(a, b),
        _ => false,
    }
}

/// The value as one of the other type. Nulls stay null.
pub(crate) fn cast(value: Value, from: &Type, to: &Type) -> Result<Value, EvalError> {
    let out = || EvalError::OutOfRange(to.to_string());
    let fits = |i: i64| -> Result<Value, EvalError> {
        let fits = match to {
            Type::Int2 => i16::try_from(i).is_ok(),
            Type::Int4 => i32::try_from(i).is_ok(),
            _ => true,
        };
        if fits { Ok(Value::Int(i)) } else { Err(out()) }
    };
    Ok(match (value, to) {
        (Value::Null, _) => Value::Null,
        (value, _) if from == to => value,
        (Value::Text(s), to) if to.is_text() => match from {
            Type::Bpchar => Value::text(s.trim_end_matches(' ')),
            _ => Value::Text(s),
        },
        (value, to) if to.is_text() => match value.to_text(from) {
            Some(text) => Value::text(text),
            None => Value::Null,
        },
        (Value::Text(s), to) => Value::parse(&s, to).map_err(|_| EvalError::InvalidText {
            ty: to.to_string(),
            text: s.to_string(),
        })?,
        (Value::Int(i), Type::Bool) => Value::Bool(i != 0),
        (Value::Bool(b), _) => Value::Int(b.into()),
        (Value::Int(i), Type::Float4) => Value::Float((i as f32).into()),
        (Value::Int(i), Type::Float8) => Value::Float(i as f64),
        (Value::Int(i), Type::Numeric) => Value::Numeric(Numeric::from_int(i)),
        (Value::Int(i), _) => fits(i)?,
        (Value::Float(f), Type::Float4) => {
            let single = f as f32;
            if single.is_infinite() && f.is_finite() {
                return Err(out());
            }
            Value::Float(single.into())
        }
        (Value::Float(f), Type::Float8) => Value::Float(f),
        (Value::Float(f), Type::Numeric) => {
            let digits = if *from == Type::Float4 { 6 } else { 15 };
            Value::Numeric(Numeric::from_float(f, digits))
        }
        (Value::Float(f), _) => {
            let whole = f.round_ties_even();
            // 2^63 itself is no int8, and every float below it is one.
            if !(whole >= -(2f64.powi(63)) && whole < 2f64.powi(63)) {
                return Err(out());
            }
            fits(whole as i64)?
        }
        (Value::Numeric(n), Type::Float8) => Value::Float(n.to_f64()),
        (Value::Numeric(n), Type::Float4) => {
            let f = n.to_f64();
            let single = f as f32;
            if single.is_infinite() && f.is_finite() {
                return Err(out());
            }
            Value::Float(single.into())
        }
        (Value::Numeric(n), _) => fits(n.to_int().ok_or_else(out)?)?,
        (Value::Date(d), _) => Value::Timestamp(date_from_days(d).ok_or_else(out)?),
        (Value::Timestamp(t), Type::Date) => Value::Date(days_of_timestamp(t)),
        (Value::Timestamp(t), Type::Time) => match t {
            i64::MAX | i64::MIN => Value::Null,
            t => Value::Time(t.rem_euclid(DAY)),
        },
        // The session's zone is UTC.
        (Value::Timestamp(t), _) => Value::Timestamp(t),
        (Value::Time(t), _) => Value::Interval(crate::value::Interval {
            months: 0,
            days: 0,
            micros: t,
        }),
        (Value::Interval(i), _) => Value::Time(i.micros.rem_euclid(DAY)),
        (Value::Array(array), Type::Array(element)) => {
            let of = from.element().unwrap_or(from);
            let Array { dims, items } = *array;
            let items: Result<Vec<_>, _> = items
                .into_iter()
                .map(|item| cast(item, of, element))
                .collect();
            Value::Array(Box::new(Array {
                dims,
                items: items?,
            }))
        }
        (value, _) => value,
    })
}
