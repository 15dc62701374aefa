//! Evaluates operators and functions.

use super::EvalError;
use super::expr::{Expr, Function};
use crate::table::Row;
use crate::value::{Array, DAY, Interval, Numeric, Type, Value, date_from_days, divide};
use std::cmp::Ordering;

type Result<T> = std::result::Result<T, EvalError>;

pub(super) fn call(function: Function, args: &[Expr], ty: &Type, row: &Row) -> Result<Value> {
    match function {
        Function::Coalesce => {
            for arg in args {
                let value = arg.eval(row)?;
                if !value.is_null() {
                    return Ok(value);
                }
            }
            return Ok(Value::Null);
        }
        Function::Greatest | Function::Least => {
            let wanted = if function == Function::Greatest {
                Ordering::Greater
            } else {
                Ordering::Less
            };
            let mut best = Value::Null;
            for arg in args {
                let value = arg.eval(row)?;
                if best.is_null() || (!value.is_null() && value.order(&best, ty) == wanted) {
                    best = value;
                }
            }
            return Ok(best);
        }
        Function::Concat => {
            let mut text = String::new();
            for arg in args {
                let value = arg.eval(row)?;
                // `concat` writes booleans as the wire does.
                text.push_str(&match value {
                    Value::Bool(true) => "t".to_owned(),
                    Value::Bool(false) => "f".to_owned(),
                    value => value.to_text(&arg.ty).unwrap_or_default(),
                });
            }
            return Ok(Value::text(text));
        }
        Function::Slice => return slice(args, row),
        Function::ArrayCat | Function::ArrayAppend | Function::ArrayPrepend => {
            return join_arrays(function, args, row);
        }
        _ => {}
    }
    // All others are null where an argument is.
    let mut values = Vec::with_capacity(args.len());
    for arg in args {
        let value = arg.eval(row)?;
        if value.is_null() {
            return Ok(Value::Null);
        }
        values.push(value);
    }
    strict(function, args, values, ty)
}

fn strict(function: Function, args: &[Expr], values: Vec<Value>, ty: &Type) -> Result<Value> {
    use Function::*;
    let mut values = values.into_iter();
    let a = values.next().unwrap_or(Value::Null);
    let b = values.next().unwrap_or(Value::Null);
    Ok(match (function, a, b) {
        (Add | Subtract | Multiply | Divide, a, b) => arithmetic(function, a, b, ty)?,
        (Power, Value::Float(a), Value::Float(b)) => float(power(a, b)?, a, b, ty)?,
        (Negate, Value::Int(i), _) => int(i.checked_neg(), ty)?,
        (Negate, Value::Float(f), _) => Value::Float(-f),
        (Negate, Value::Numeric(n), _) => Value::Numeric(n.negate()),
        (Negate, Value::Interval(i), _) => Value::Interval(i.negate().ok_or_else(|| out(ty))?),
        (Absolute, Value::Int(i), _) => int(i.checked_abs(), ty)?,
        (Absolute, Value::Float(f), _) => Value::Float(f.abs()),
        (Absolute, Value::Numeric(n), _) => match n {
            Numeric::Finite(d) => Value::Numeric(Numeric::Finite(d.abs())),
            Numeric::NegInfinity => Value::Numeric(Numeric::Infinity),
            other => Value::Numeric(other),
        },
        (Plus, value, _) => value,
        (Root, Value::Float(f), _) => {
            if f < 0.0 {
                return Err(EvalError::Invalid(
                    "cannot take square root of a negative number",
                ));
            }
            Value::Float(f.sqrt())
        }
        (BitAnd, Value::Int(a), Value::Int(b)) => Value::Int(a & b),
        (BitOr, Value::Int(a), Value::Int(b)) => Value::Int(a | b),
        (BitXor, Value::Int(a), Value::Int(b)) => Value::Int(a ^ b),
        (BitNot, Value::Int(a), _) => Value::Int(!a),
        (ShiftLeft | ShiftRight, Value::Int(a), Value::Int(by)) => shift(function, a, by, ty),
        (Join, Value::Text(a), Value::Text(b)) => Value::text(format!("{a}{b}")),
        (Like, Value::Text(a), Value::Text(b)) => Value::Bool(like(&a, &b)?),
        (NotLike, Value::Text(a), Value::Text(b)) => Value::Bool(!like(&a, &b)?),
        (ILike, Value::Text(a), Value::Text(b)) => {
            Value::Bool(like(&a.to_lowercase(), &b.to_lowercase())?)
        }
        (NotILike, Value::Text(a), Value::Text(b)) => {
            Value::Bool(!like(&a.to_lowercase(), &b.to_lowercase())?)
        }
        (Contains, Value::Array(a), Value::Array(b)) => Value::Bool(a.contains(&b, element(args))),
        (Contained, Value::Array(a), Value::Array(b)) => Value::Bool(b.contains(&a, element(args))),
        (Overlaps, Value::Array(a), Value::Array(b)) => Value::Bool(a.overlaps(&b, element(args))),
        (Index, Value::Array(array), first) => {
            let indexes: Vec<Value> = std::iter::once(first).chain(values).collect();
            index(&array, &indexes)
        }
        (Lower, Value::Text(a), _) => Value::text(a.to_lowercase()),
        (Upper, Value::Text(a), _) => Value::text(a.to_uppercase()),
        (ArrayNdims, Value::Array(a), _) => match a.dims.len() {
            0 => Value::Null,
            n => Value::Int(n as i64),
        },
        // In UTC both timestamps have the same number.
        (Timezone, _, Value::Timestamp(t)) => Value::Timestamp(t),
        (JustifyDays, Value::Interval(i), _) => interval(i.justify_days(), ty)?,
        (JustifyHours, Value::Interval(i), _) => interval(i.justify_hours(), ty)?,
        (JustifyInterval, Value::Interval(i), _) => interval(i.justify(), ty)?,
        // The resolver gives every function arguments of its types.
        _ => Value::Null,
    })
}

fn out(ty: &Type) -> EvalError {
    EvalError::OutOfRange(ty.to_string())
}

fn int(value: Option<i64>, ty: &Type) -> Result<Value> {
    let value = value.ok_or_else(|| out(ty))?;
    let fits = match ty {
        Type::Int2 => i16::try_from(value).is_ok(),
        Type::Int4 => i32::try_from(value).is_ok(),
        _ => true,
    };
    if fits {
        Ok(Value::Int(value))
    } else {
        Err(out(ty))
    }
}

/// A float that became infinite or zero from operands that are neither is out of range.
fn float(value: f64, a: f64, b: f64, ty: &Type) -> Result<Value> {
    let value = if *ty == Type::Float4 {
        f64::from(value as f32)
    } else {
        value
    };
    if value.is_infinite() && a.is_finite() && b.is_finite() {
        Err(out(ty))
    } else {
        Ok(Value::Float(value))
    }
}

fn interval(value: Option<Interval>, ty: &Type) -> Result<Value> {
    value.map(Value::Interval).ok_or_else(|| out(ty))
}

fn element(args: &[Expr]) -> &Type {
    args[0].ty.element().unwrap_or(&args[0].ty)
}

fn power(a: f64, b: f64) -> Result<f64> {
    if a == 0.0 && b < 0.0 {
        return Err(EvalError::Invalid(
            "zero raised to a negative power is undefined",
        ));
    }
    if a < 0.0 && a.is_finite() && b.is_finite() && b.fract() != 0.0 {
        let fault = "a negative number raised to a non-integer power yields a complex result";
        return Err(EvalError::Invalid(fault));
    }
    Ok(a.powf(b))
}

/// As the processor shifts: the count is taken modulo the bits of the type (32 for int2).
fn shift(function: Function, a: i64, by: i64, ty: &Type) -> Value {
    let left = function == Function::ShiftLeft;
    Value::Int(match ty {
        Type::Int8 => {
            let by = by as u32 & 63;
            if left { a.wrapping_shl(by) } else { a >> by }
        }
        ty => {
            let by = by as u32 & 31;
            let wide = a as i32;
            let wide = if left {
                wide.wrapping_shl(by)
            } else {
                wide >> by
            };
            if *ty == Type::Int2 {
                (wide as i16).into()
            } else {
                wide.into()
            }
        }
    })
}

fn arithmetic(function: Function, a: Value, b: Value, ty: &Type) -> Result<Value> {
    use Function::*;
    let add = function == Add;
    Ok(match (a, b) {
        (Value::Int(a), Value::Int(b)) => match function {
            Add => int(a.checked_add(b), ty)?,
            Subtract => int(a.checked_sub(b), ty)?,
            Multiply => int(a.checked_mul(b), ty)?,
            _ if b == 0 => return Err(EvalError::DivisionByZero),
            _ => int(a.checked_div(b), ty)?,
        },
        (Value::Float(a), Value::Float(b)) => {
            let value = match function {
                Add => a + b,
                Subtract => a - b,
                Multiply => a * b,
                _ if b == 0.0 && !a.is_nan() => return Err(EvalError::DivisionByZero),
                _ => a / b,
            };
            float(value, a, b, ty)?
        }
        (Value::Numeric(a), Value::Numeric(b)) => Value::Numeric(numeric(function, a, b)?),
        (Value::Date(d), Value::Int(n)) | (Value::Int(n), Value::Date(d)) => {
            if d == i32::MAX || d == i32::MIN {
                return Ok(Value::Date(d));
            }
            let n = if add { n } else { -n };
            let sum = i64::from(d) + n;
            Value::Date(i32::try_from(sum).map_err(|_| out(ty))?)
        }
        (Value::Date(a), Value::Date(b)) => {
            let infinite = |d: i32| d == i32::MAX || d == i32::MIN;
            if infinite(a) || infinite(b) {
                return Err(EvalError::Invalid("cannot subtract infinite dates"));
            }
            Value::Int(i64::from(a) - i64::from(b))
        }
        (Value::Date(d), Value::Interval(i)) => {
            let start = date_from_days(d).ok_or_else(|| out(ty))?;
            moved(start, i, add, ty)?
        }
        (Value::Timestamp(t), Value::Interval(i)) | (Value::Interval(i), Value::Timestamp(t)) => {
            moved(t, i, add, ty)?
        }
        (Value::Timestamp(a), Value::Timestamp(b)) => {
            let infinite = |t: i64| t == i64::MAX || t == i64::MIN;
            if infinite(a) || infinite(b) {
                return Err(EvalError::Invalid("cannot subtract infinite timestamps"));
            }
            let micros = a.checked_sub(b).ok_or_else(|| out(ty))?;
            let whole = Interval {
                months: 0,
                days: 0,
                micros,
            };
            interval(whole.justify_hours(), ty)?
        }
        (Value::Interval(a), Value::Interval(b)) => {
            let b = if add { Some(b) } else { b.negate() };
            interval(b.and_then(|b| a.add(&b)), ty)?
        }
        (Value::Time(t), Value::Interval(i)) => {
            let micros = i.micros % DAY;
            Value::Time((t + if add { micros } else { -micros }).rem_euclid(DAY))
        }
        (Value::Time(a), Value::Time(b)) => Value::Interval(Interval {
            months: 0,
            days: 0,
            micros: a - b,
        }),
        (Value::Date(d), Value::Time(t)) | (Value::Time(t), Value::Date(d)) => {
            let start = date_from_days(d).ok_or_else(|| out(ty))?;
            moved(
                start,
                Interval {
                    months: 0,
                    days: 0,
                    micros: t,
                },
                true,
                ty,
            )?
        }
        _ => Value::Null,
    })
}

fn moved(start: i64, by: Interval, add: bool, ty: &Type) -> Result<Value> {
    let by = if add { Some(by) } else { by.negate() };
    let end = by.and_then(|by| by.add_to(start)).ok_or_else(|| out(ty))?;
    Ok(Value::Timestamp(end))
}

fn numeric(function: Function, a: Numeric, b: Numeric) -> Result<Numeric> {
    if let (Numeric::Finite(a), Numeric::Finite(b)) = (&a, &b) {
        return Ok(Numeric::Finite(match function {
            Function::Add => a + b,
            Function::Subtract => a - b,
            Function::Multiply => a * b,
            _ => divide(a, b).ok_or(EvalError::DivisionByZero)?,
        }));
    }
    // NaN and the infinities behave as those of floats.
    let (x, y) = (a.to_f64(), b.to_f64());
    let value = match function {
        Function::Add => x + y,
        Function::Subtract => x - y,
        Function::Multiply => x * y,
        _ if y == 0.0 && !x.is_nan() => return Err(EvalError::DivisionByZero),
        _ => x / y,
    };
    Ok(Numeric::from_float(value, 15))
}

fn index(array: &Array, indexes: &[Value]) -> Value {
    if indexes.len() != array.dims.len() {
        return Value::Null;
    }
    let mut place = 0;
    for (index, (length, low)) in indexes.iter().zip(&array.dims) {
        let Value::Int(index) = index else {
            return Value::Null;
        };
        let within = index - i64::from(*low);
        if within < 0 || within >= *length as i64 {
            return Value::Null;
        }
        place = place * length + within as usize;
    }
    array.items.get(place).cloned().unwrap_or(Value::Null)
}

fn slice(args: &[Expr], row: &Row) -> Result<Value> {
    let [of, low, high] = args else {
        return Ok(Value::Null);
    };
    let Value::Array(array) = of.eval(row)? else {
        return Ok(Value::Null);
    };
    let open = |e: &Expr| matches!(e.op, super::expr::Op::Const(Value::Null));
    let Some(&(length, first)) = array.dims.first() else {
        return Ok(Value::Array(array));
    };
    let last = i64::from(first) + length as i64 - 1;
    let bound = |e: &Expr, default: i64| -> Result<Option<i64>> {
        if open(e) {
            return Ok(Some(default));
        }
        Ok(match e.eval(row)? {
            Value::Int(i) => Some(i),
            _ => None,
        })
    };
    let (Some(low), Some(high)) = (bound(low, first.into())?, bound(high, last)?) else {
        return Ok(Value::Null);
    };
    let (low, high) = (low.max(first.into()), high.min(last));
    if low > high {
        return Ok(Value::Array(Box::new(Array {
            dims: vec![],
            items: vec![],
        })));
    }
    let each: usize = array.dims[1..].iter().map(|(length, _)| length).product();
    // Both are within the array's bounds.
    let from = (low - i64::from(first)) as usize;
    let count = (high - low + 1) as usize;
    let items = array.items[from * each..(from + count) * each].to_vec();
    let mut dims: Vec<_> = array.dims.iter().map(|(length, _)| (*length, 1)).collect();
    dims[0].0 = count;
    Ok(Value::Array(Box::new(Array { dims, items })))
}

fn join_arrays(function: Function, args: &[Expr], row: &Row) -> Result<Value> {
    let [a, b] = args else { return Ok(Value::Null) };
    let (a, b) = (a.eval(row)?, b.eval(row)?);
    let one = |value: Value| Array::one_dimension(vec![value]);
    let (a, b) = match (function, a, b) {
        (Function::ArrayAppend, Value::Null, b) => return Ok(Value::Array(Box::new(one(b)))),
        (Function::ArrayAppend, Value::Array(a), b) => (*a, one(b)),
        (Function::ArrayPrepend, a, Value::Null) => return Ok(Value::Array(Box::new(one(a)))),
        (Function::ArrayPrepend, a, Value::Array(b)) => (one(a), *b),
        (_, Value::Null, b) => return Ok(b),
        (_, a, Value::Null) => return Ok(a),
        (_, Value::Array(a), Value::Array(b)) => (*a, *b),
        _ => return Ok(Value::Null),
    };
    if a.dims.is_empty() {
        return Ok(Value::Array(Box::new(b)));
    }
    if b.dims.is_empty() {
        return Ok(Value::Array(Box::new(a)));
    }
    let lengths = |dims: &[(usize, i32)]| dims.iter().map(|d| d.0).collect::<Vec<_>>();
    let incompatible = EvalError::Invalid("cannot concatenate incompatible arrays");
    let mut dims = match a.dims.len().cmp(&b.dims.len()) {
        Ordering::Equal if lengths(&a.dims[1..]) == lengths(&b.dims[1..]) => {
            let mut dims = a.dims.clone();
            dims[0].0 += b.dims[0].0;
            dims
        }
        Ordering::Greater if lengths(&a.dims[1..]) == lengths(&b.dims) => {
            let mut dims = a.dims.clone();
            dims[0].0 += 1;
            dims
        }
        Ordering::Less if lengths(&b.dims[1..]) == lengths(&a.dims) => {
            let mut dims = b.dims.clone();
            dims[0].0 += 1;
            dims
        }
        _ => return Err(incompatible),
    };
    if function == Function::ArrayPrepend {
        // The array that is prepended to keeps its lower bound.
        dims[0].1 = b.dims[0].1;
    }
    let mut items = a.items;
    items.extend(b.items);
    Ok(Value::Array(Box::new(Array { dims, items })))
}

/// `%` is any text, `_` any character, a backslash makes the next one plain. Linear in the text for
/// each `%`: no pattern takes exponential time.
fn like(text: &str, pattern: &str) -> Result<bool> {
    enum Piece {
        One,
        Any,
        Char(char),
    }
    let mut pieces = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '%' => Piece::Any,
            '_' => Piece::One,
            '\\' => Piece::Char(chars.next().ok_or(EvalError::Invalid(
                "LIKE pattern must not end with escape character",
            ))?),
            c => Piece::Char(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut t, mut p) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pieces.get(p) {
            Some(Piece::Any) => {
                p += 1;
                back = Some((t, p));
            }
            Some(Piece::One) => (t, p) = (t + 1, p + 1),
            Some(Piece::Char(c)) if *c == text[t] => (t, p) = (t + 1, p + 1),
            _ => match back {
                Some((start, after)) => {
                    t = start + 1;
                    p = after;
                    back = Some((t, after));
                }
                None => return Ok(false),
            },
        }
    }
    Ok(pieces[p..].iter().all(|piece| matches!(piece, Piece::Any)))
}
