//! Finds the part of a clause that an index can use: the few values that a column has in all of its
//! rows.

use super::expr::{Comparison, Expr, Op};
use crate::value::{Type, Value};
use smol_str::SmolStr;

/// A column that has one of these values, in text form, in every row of a clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) column: usize,
    pub(crate) values: Vec<SmolStr>,
}

/// More values than these are not indexed.
const MAX_VALUES: usize = 1024;

pub(super) fn of(expr: &Expr) -> Option<Keys> {
    let mut keys = match &expr.op {
        Op::And(items) => items
            .iter()
            .filter_map(of)
            .min_by_key(|keys| keys.values.len())?,
        Op::Or(items) => {
            let mut all = items.iter().map(of);
            let mut keys = all.next()??;
            for other in all {
                let other = other?;
                if other.column != keys.column {
                    return None;
                }
                keys.values.extend(other.values);
            }
            keys
        }
        Op::Compare(Comparison::Eq, a, b) => equal(a, [&**b]).or_else(|| equal(b, [&**a]))?,
        Op::In(of, items, false) => equal(of, items.iter())?,
        Op::Quantified(Comparison::Eq, of, array, false) => match &array.op {
            Op::Array(items) => equal(of, items.iter())?,
            Op::Const(Value::Array(array)) => {
                let column = column(of)?;
                let texts = array.items.iter().filter_map(|item| item.to_text(&of.ty));
                Keys {
                    column,
                    values: texts.map(SmolStr::from).collect(),
                }
            }
            _ => return None,
        },
        Op::Is(of, super::ast::Test::True, false) => self::of(of)?,
        _ => return None,
    };
    keys.values.sort_unstable();
    keys.values.dedup();
    (keys.values.len() <= MAX_VALUES).then_some(keys)
}

fn equal<'a>(of: &Expr, items: impl IntoIterator<Item = &'a Expr>) -> Option<Keys> {
    let column = column(of)?;
    let mut values = Vec::new();
    for item in items {
        match &item.op {
            // Nothing equals a null.
            Op::Const(Value::Null) => {}
            Op::Const(value) | Op::Number(value) => values.push(value.to_text(&of.ty)?.into()),
            _ => return None,
        }
    }
    Some(Keys { column, values })
}

/// The column, if its type has one text for each value.
fn column(expr: &Expr) -> Option<usize> {
    let one_text = matches!(
        expr.ty,
        Type::Bool
            | Type::Int2
            | Type::Int4
            | Type::Int8
            | Type::Text
            | Type::Varchar
            | Type::Name
            | Type::Uuid
            | Type::Date
            | Type::Enum(_)
    );
    match expr.op {
        Op::Column(index, _) if one_text => Some(index),
        _ => None,
    }
}
