//! Evaluation over one row, in three values: true, false, unknown.

use super::ast::Test;
use super::convert::cast;
use super::expr::{Comparison, Expr, Op};
use super::functions;
use crate::table::Row;
use crate::value::{Array, Type, Value};
use std::cmp::Ordering;

/// A predicate has no value for a row: Postgres, too, would answer with an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A divisor is zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A result is not a value of its type, which is named.
    #[error("{0} out of range")]
    OutOfRange(String),
    /// A text is cast to a type of which it is not a value, or a row holds such a text.
    #[error("invalid input syntax for type {ty}: {text:?}")]
    InvalidText {
        /// The type.
        ty: String,
        /// The text.
        text: String,
    },
    /// A root of a negative number, arrays whose dimensions do not fit, a pattern that ends in a
    /// backslash.
    #[error("{0}")]
    Invalid(&'static str),
    /// The database has no value for a row, in its own words.
    #[error("{0}")]
    Database(String),
}

impl Expr {
    pub(super) fn eval(&self, row: &Row) -> Result<Value, EvalError> {
        Ok(match &self.op {
            Op::Const(value) | Op::Number(value) => value.clone(),
            Op::Column(index, _) => match row.get(*index) {
                None => Value::Null,
                Some(text) => Value::parse(text, &self.ty).map_err(|_| EvalError::InvalidText {
                    ty: self.ty.to_string(),
                    text: text.to_owned(),
                })?,
            },
            Op::Not(of) => match of.truth(row)? {
                Some(b) => Value::Bool(!b),
                None => Value::Null,
            },
            Op::And(items) => {
                let mut unknown = false;
                for item in items {
                    match item.truth(row)? {
                        Some(false) => return Ok(Value::Bool(false)),
                        Some(true) => {}
                        None => unknown = true,
                    }
                }
                if unknown {
                    Value::Null
                } else {
                    Value::Bool(true)
                }
            }
            Op::Or(items) => {
                let mut unknown = false;
                for item in items {
                    match item.truth(row)? {
                        Some(true) => return Ok(Value::Bool(true)),
                        Some(false) => {}
                        None => unknown = true,
                    }
                }
                if unknown {
                    Value::Null
                } else {
                    Value::Bool(false)
                }
            }
            Op::Is(of, test, negated) => {
                let holds = match test {
                    // A null test of a column does not need to read the column's text.
                    Test::Null => match &of.op {
                        Op::Column(index, _) => row.get(*index).is_none(),
                        _ => of.eval(row)?.is_null(),
                    },
                    Test::True => of.truth(row)? == Some(true),
                    Test::False => of.truth(row)? == Some(false),
                    Test::Unknown => of.truth(row)?.is_none(),
                };
                Value::Bool(holds != *negated)
            }
            Op::Distinct(a, b, negated) => {
                let ty = &a.ty;
                let (a, b) = (a.eval(row)?, b.eval(row)?);
                let distinct = match (a.is_null(), b.is_null()) {
                    (false, false) => a.order(&b, ty) != Ordering::Equal,
                    (a, b) => a != b,
                };
                Value::Bool(distinct != *negated)
            }
            Op::Compare(op, a, b) => compare(*op, &a.eval(row)?, &b.eval(row)?, &a.ty),
            Op::In(of, items, negated) => {
                let value = of.eval(row)?;
                let mut found = Value::Bool(false);
                for item in items {
                    match compare(Comparison::Eq, &value, &item.eval(row)?, &of.ty) {
                        Value::Bool(true) => {
                            found = Value::Bool(true);
                            break;
                        }
                        Value::Null => found = Value::Null,
                        _ => {}
                    }
                }
                match found {
                    Value::Bool(b) => Value::Bool(b != *negated),
                    other => other,
                }
            }
            Op::Quantified(op, left, array, all) => {
                let value = left.eval(row)?;
                let Value::Array(array) = array.eval(row)? else {
                    return Ok(Value::Null);
                };
                let mut result = Value::Bool(*all);
                for item in &array.items {
                    match compare(*op, &value, item, &left.ty) {
                        Value::Bool(b) if b != *all => return Ok(Value::Bool(b)),
                        Value::Null => result = Value::Null,
                        _ => {}
                    }
                }
                result
            }
            Op::Call(function, args) => functions::call(*function, args, &self.ty, row)?,
            Op::Cast(of) => cast(of.eval(row)?, &of.ty, &self.ty)?,
            Op::Array(items) => self.array(items, row)?,
        })
    }

    pub(super) fn truth(&self, row: &Row) -> Result<Option<bool>, EvalError> {
        match self.eval(row)? {
            Value::Bool(b) => Ok(Some(b)),
            _ => Ok(None),
        }
    }

    fn array(&self, items: &[Expr], row: &Row) -> Result<Value, EvalError> {
        let values: Result<Vec<_>, _> = items.iter().map(|item| item.eval(row)).collect();
        let values = values?;
        // Arrays in it make it one of a dimension more.
        if !items.iter().any(|item| matches!(item.ty, Type::Array(_))) {
            return Ok(Value::Array(Box::new(Array::one_dimension(values))));
        }
        let count = values.len();
        let mut dims: Option<Vec<(usize, i32)>> = None;
        let mut all = Vec::new();
        for value in values {
            let Value::Array(array) = value else {
                return Err(EvalError::Invalid("an array within an array is null"));
            };
            match &dims {
                Some(dims) if *dims != array.dims => {
                    let fault = "multidimensional arrays must have matching dimensions";
                    return Err(EvalError::Invalid(fault));
                }
                Some(_) => {}
                None => dims = Some(array.dims.clone()),
            }
            all.extend(array.items);
        }
        let mut dims = dims.unwrap_or_default();
        if dims.is_empty() {
            return Ok(Value::Array(Box::new(Array { dims, items: all })));
        }
        dims.insert(0, (count, 1));
        Ok(Value::Array(Box::new(Array { dims, items: all })))
    }
}

pub(super) fn compare(op: Comparison, a: &Value, b: &Value, ty: &Type) -> Value {
    if a.is_null() || b.is_null() {
        return Value::Null;
    }
    let order = a.order(b, ty);
    Value::Bool(match op {
        Comparison::Eq => order == Ordering::Equal,
        Comparison::Ne => order != Ordering::Equal,
        Comparison::Lt => order == Ordering::Less,
        Comparison::Le => order != Ordering::Greater,
        Comparison::Gt => order == Ordering::Greater,
        Comparison::Ge => order != Ordering::Less,
    })
}
