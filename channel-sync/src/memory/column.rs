//! Values in their columns' form, as Postgres would give them back.

use super::MemoryError;
use super::store::Values;
use crate::table::{Column, Modifier, Row, Table};
use crate::value::{Type, Value};
use smol_str::SmolStr;

/// A whole row: the named values in the columns' form, the rest of `old` or null.
pub(super) fn fill(table: &Table, old: Option<&Row>, values: &Values) -> Result<Row, MemoryError> {
    let mut texts: Vec<Option<SmolStr>> = (0..table.columns().len())
        .map(|i| old.and_then(|row| row.get(i)).map(SmolStr::from))
        .collect();
    for (name, text) in values {
        let missing = || MemoryError::Column(table.name().clone(), name.clone());
        let index = table.column_index(name).ok_or_else(missing)?;
        texts[index] = text.clone();
    }
    texts
        .iter()
        .zip(table.columns())
        .map(|(t, column)| canonical(column, t.as_deref()))
        .collect()
}

/// The text that Postgres would give back.
pub(super) fn canonical(
    column: &Column,
    text: Option<&str>,
) -> Result<Option<SmolStr>, MemoryError> {
    let Some(text) = text else {
        if column.is_not_null() {
            return Err(MemoryError::NotNull(column.name().to_owned()));
        }
        return Ok(None);
    };
    let wrong = || MemoryError::Value {
        column: column.name().to_owned(),
        ty: column.ty().to_string(),
        text: text.to_owned(),
    };
    let value = Value::parse(text, column.ty()).map_err(|_| wrong())?;
    let value = modified(value, column.modified_by(), column.ty()).ok_or_else(wrong)?;
    Ok(value.to_text(column.ty()).map(SmolStr::from))
}

/// The value within the type's modifier, as Postgres rounds and pads it; `None` if it is too long.
fn modified(value: Value, modifier: &Modifier, ty: &Type) -> Option<Value> {
    Some(match (modifier, value) {
        (modifier, Value::Array(mut array)) => {
            let element = ty.element()?;
            let items = std::mem::take(&mut array.items);
            let items: Option<Vec<_>> = items
                .into_iter()
                .map(|item| modified(item, modifier, element))
                .collect();
            array.items = items?;
            Value::Array(array)
        }
        (Modifier::MaxLength(most), Value::Text(text)) => {
            let most = *most as usize;
            match text.char_indices().nth(most) {
                None => Value::Text(text),
                Some((at, _)) if text[at..].chars().all(|c| c == ' ') => Value::text(&text[..at]),
                Some(_) => return None,
            }
        }
        (Modifier::Length(length), Value::Text(text)) if *ty == Type::Bpchar => {
            let trimmed = text.trim_end_matches(' ');
            let missing = (*length as usize).checked_sub(trimmed.chars().count())?;
            Value::text(format!("{trimmed}{}", " ".repeat(missing)))
        }
        (Modifier::Numeric(precision, scale), Value::Numeric(number)) => {
            Value::Numeric(number.rounded(*precision, *scale)?)
        }
        (Modifier::Precision(digits), Value::Time(t)) => Value::Time(round(t, *digits)?),
        (Modifier::Precision(digits), Value::Timestamp(t)) if t != i64::MAX && t != i64::MIN => {
            Value::Timestamp(round(t, *digits)?)
        }
        (_, value) => value,
    })
}

/// Microseconds rounded to so many digits of a second, half away from zero.
fn round(micros: i64, digits: u32) -> Option<i64> {
    let unit = 10i64.checked_pow(6u32.checked_sub(digits)?)?;
    let half = if micros < 0 { -(unit / 2) } else { unit / 2 };
    Some((micros.checked_add(half)? / unit) * unit)
}
