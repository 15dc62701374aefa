//! Which operator or function a name means for given types.

use super::ast::Ast;
use super::expr::{Comparison, Expr, Function, Op};
use super::resolve::{Resolver, Side, no_overload};
use super::{Fault, PredicateError, convert};
use crate::value::{Type, Value};

type Result<T> = std::result::Result<T, PredicateError>;

impl Resolver<'_> {
    pub(super) fn unary(&self, sign: &str, of: &Ast, at: usize) -> Result<Side> {
        let of = self.known(of)?;
        let (function, ty) = match (sign, &of.ty) {
            ("-", ty) if ty.is_number() || *ty == Type::Interval => {
                if let Op::Number(value) = &of.op
                    && let Some(value) = negated(value)
                {
                    let op = Op::Number(value);
                    return Ok(Side::Known(Expr { op, ty: of.ty }, at));
                }
                (Function::Negate, ty.clone())
            }
            ("+", ty) if ty.is_number() => (Function::Plus, ty.clone()),
            ("@", ty) if ty.is_number() => (Function::Absolute, ty.clone()),
            ("~", ty) if ty.is_integer() => (Function::BitNot, ty.clone()),
            ("|/", ty) if ty.is_number() => {
                let of = self.coerce(Side::Known(of, at), &Type::Float8, at)?;
                return Ok(called(Function::Root, vec![of], Type::Float8, at));
            }
            ("-" | "+" | "@" | "~" | "|/", _) => return Err(no_overload(at)),
            _ => return Err(PredicateError::at(at, Fault::UnknownUnary(sign.to_owned()))),
        };
        Ok(called(function, vec![of], ty, at))
    }

    pub(super) fn binary(&self, sign: &str, a: Side, b: Side, at: usize) -> Result<Side> {
        if let Some(op) = Comparison::named(sign) {
            let (a, b) = self.comparable(op, a, b, at)?;
            let op = Op::Compare(op, Box::new(a), Box::new(b));
            return Ok(Side::Known(Expr { op, ty: Type::Bool }, at));
        }
        match sign {
            "+" | "-" | "*" | "/" => self.arithmetic(sign, a, b, at),
            "^" => {
                let number = |side: &Side| match side.ty() {
                    // numeric has a power of its own, whose digits are not reproduced here.
                    Some(ty) => ty.is_number() && *ty != Type::Numeric,
                    None => true,
                };
                if !number(&a) || !number(&b) || (a.ty().is_none() && b.ty().is_none()) {
                    return Err(no_overload(at));
                }
                let a = self.coerce(a, &Type::Float8, at)?;
                let b = self.coerce(b, &Type::Float8, at)?;
                Ok(called(Function::Power, vec![a, b], Type::Float8, at))
            }
            "&" | "|" | "#" => {
                let function = match sign {
                    "&" => Function::BitAnd,
                    "|" => Function::BitOr,
                    _ => Function::BitXor,
                };
                let both = self.unify(vec![a, b], at)?;
                let ty = both[0].ty.clone();
                // Integers of two sizes stay as they are: the wider is the result's type.
                let ty = convert::common(&ty, &both[1].ty).unwrap_or(ty);
                if !ty.is_integer() {
                    return Err(no_overload(at));
                }
                Ok(called(function, both, ty, at))
            }
            "<<" | ">>" => {
                let function = if sign == "<<" {
                    Function::ShiftLeft
                } else {
                    Function::ShiftRight
                };
                let Side::Known(a, _) = a else {
                    return Err(no_overload(at));
                };
                if !a.ty.is_integer() {
                    return Err(no_overload(at));
                }
                let b = self.coerce(b, &Type::Int4, at)?;
                let ty = a.ty.clone();
                Ok(called(function, vec![a, b], ty, at))
            }
            "||" => self.join(a, b, at),
            "@>" | "<@" | "&&" => {
                let function = match sign {
                    "@>" => Function::Contains,
                    "<@" => Function::Contained,
                    _ => Function::Overlaps,
                };
                let both = self.unify(vec![a, b], at)?;
                if both[0].ty.element().is_none() {
                    return Err(no_overload(at));
                }
                self.check_comparable(Comparison::Eq, &both[0].ty, at)?;
                Ok(called(function, both, Type::Bool, at))
            }
            _ => Err(PredicateError::at(
                at,
                Fault::UnknownOperator(sign.to_owned()),
            )),
        }
    }

    fn arithmetic(&self, sign: &str, a: Side, b: Side, at: usize) -> Result<Side> {
        let function = match sign {
            "+" => Function::Add,
            "-" => Function::Subtract,
            "*" => Function::Multiply,
            _ => Function::Divide,
        };
        let plus = sign == "+";
        let minus = sign == "-";
        use Type::{Date, Int4, Interval, Time, Timestamp, Timestamptz};
        let number = |ty: Option<&Type>| ty.is_none_or(Type::is_number);
        if number(a.ty()) && number(b.ty()) {
            if a.ty().is_none() && b.ty().is_none() {
                return Err(no_overload(at));
            }
            let both = self.unify(vec![a, b], at)?;
            let ty = both[0].ty.clone();
            let ty = convert::common(&ty, &both[1].ty).unwrap_or(ty);
            return Ok(called(function, both, ty, at));
        }
        // (left, right, result) for what is not numbers.
        let (left, right, result) = match (a.ty(), b.ty()) {
            (Some(Date), Some(ty)) if ty.is_integer() && (plus || minus) => (Date, Int4, Date),
            (Some(ty), Some(Date)) if ty.is_integer() && plus => (Int4, Date, Date),
            (Some(Date), Some(Date)) if minus => (Date, Date, Int4),
            (Some(Date), Some(Interval)) if plus || minus => (Timestamp, Interval, Timestamp),
            (Some(Interval), Some(Date)) if plus => (Interval, Timestamp, Timestamp),
            (Some(ty @ (Timestamp | Timestamptz)), Some(Interval)) if plus || minus => {
                (ty.clone(), Interval, ty.clone())
            }
            (Some(Interval), Some(ty @ (Timestamp | Timestamptz))) if plus => {
                (Interval, ty.clone(), ty.clone())
            }
            (Some(Timestamp), Some(Timestamp)) if minus => (Timestamp, Timestamp, Interval),
            (Some(Timestamptz), Some(Timestamptz)) if minus => (Timestamptz, Timestamptz, Interval),
            (Some(Interval), Some(Interval) | None) if plus || minus => {
                (Interval, Interval, Interval)
            }
            (None, Some(Interval)) if plus || minus => (Interval, Interval, Interval),
            (Some(Time), Some(Interval)) if plus || minus => (Time, Interval, Time),
            (Some(Time), Some(Time)) if minus => (Time, Time, Interval),
            (Some(Date), Some(Time)) if plus => (Date, Time, Timestamp),
            (Some(Time), Some(Date)) if plus => (Time, Date, Timestamp),
            _ => return Err(no_overload(at)),
        };
        let a = self.coerce(a, &left, at)?;
        let b = self.coerce(b, &right, at)?;
        Ok(called(function, vec![a, b], result, at))
    }

    /// `||`: text with anything but an array, or arrays and their elements.
    fn join(&self, a: Side, b: Side, at: usize) -> Result<Side> {
        let is_array = |side: &Side| matches!(side.ty(), Some(Type::Array(_)));
        if is_array(&a) || is_array(&b) {
            let function = match (a.ty(), b.ty()) {
                (Some(Type::Array(_)), Some(Type::Array(_)) | None) => Function::ArrayCat,
                (None, Some(Type::Array(_))) => Function::ArrayCat,
                (Some(Type::Array(_)), _) => Function::ArrayAppend,
                _ => Function::ArrayPrepend,
            };
            return self.array_function(function, a, b, at);
        }
        let is_text = |side: &Side| side.ty().is_none_or(Type::is_text);
        if !is_text(&a) && !is_text(&b) {
            return Err(no_overload(at));
        }
        let mut both = Vec::with_capacity(2);
        for side in [a, b] {
            both.push(match side {
                Side::Known(expr, _) if !expr.ty.is_text() => {
                    if !convert::can_cast(&expr.ty, &Type::Text) {
                        return Err(no_overload(at));
                    }
                    Expr {
                        op: Op::Cast(Box::new(expr)),
                        ty: Type::Text,
                    }
                }
                side => self.coerce(side, &Type::Text, at)?,
            });
        }
        Ok(called(Function::Join, both, Type::Text, at))
    }

    fn array_function(&self, function: Function, a: Side, b: Side, at: usize) -> Result<Side> {
        let element = |side: &Side| side.ty().and_then(Type::element).cloned();
        let (array_a, array_b) = match function {
            Function::ArrayAppend => (true, false),
            Function::ArrayPrepend => (false, true),
            _ => (true, true),
        };
        let of_a = if array_a {
            element(&a)
        } else {
            a.ty().cloned()
        };
        let of_b = if array_b {
            element(&b)
        } else {
            b.ty().cloned()
        };
        let element = match (of_a, of_b) {
            (Some(a), Some(b)) => convert::common(&a, &b).ok_or_else(|| no_overload(at))?,
            (Some(ty), None) | (None, Some(ty)) => ty,
            (None, None) => return Err(no_overload(at)),
        };
        let array = Type::array(element.clone());
        let a = self.coerce(a, if array_a { &array } else { &element }, at)?;
        let b = self.coerce(b, if array_b { &array } else { &element }, at)?;
        Ok(called(function, vec![a, b], array, at))
    }

    pub(super) fn call(&self, name: &str, args: Vec<Side>, at: usize) -> Result<Side> {
        let count = args.len();
        let unknown = || {
            PredicateError::at(
                at,
                Fault::UnknownFunction {
                    name: name.to_owned(),
                    args: count,
                },
            )
        };
        let mismatch = || PredicateError::at(at, Fault::NoFunctionOverload(name.to_owned()));
        let mut args = args;
        match (name, count) {
            ("coalesce" | "greatest" | "least", 1..) => {
                let function = match name {
                    "coalesce" => Function::Coalesce,
                    "greatest" => Function::Greatest,
                    _ => Function::Least,
                };
                let args = self.unify(args, at)?;
                // Integers of several sizes stay as they are.
                let widest = args.iter().skip(1).fold(args[0].ty.clone(), |ty, arg| {
                    convert::common(&ty, &arg.ty).unwrap_or(ty)
                });
                if function != Function::Coalesce {
                    self.check_comparable(Comparison::Lt, &widest, at)?;
                }
                Ok(called(function, args, widest, at))
            }
            ("lower" | "upper", 1) => {
                let arg = self.text_if_literal(args.remove(0))?;
                if !arg.ty.is_text() {
                    return Err(mismatch());
                }
                let arg = self.coerce(Side::Known(arg, at), &Type::Text, at)?;
                let function = if name == "lower" {
                    Function::Lower
                } else {
                    Function::Upper
                };
                Ok(called(function, vec![arg], Type::Text, at))
            }
            ("concat", 1..) => {
                let args: Result<Vec<_>> = args
                    .into_iter()
                    .map(|side| self.text_if_literal(side))
                    .collect();
                Ok(called(Function::Concat, args?, Type::Text, at))
            }
            ("like" | "ilike", 2) => {
                let pattern = self.text_if_literal(args.remove(1))?;
                let of = self.text_if_literal(args.remove(0))?;
                if !of.ty.is_text() || !pattern.ty.is_text() {
                    return Err(mismatch());
                }
                let function = if name == "like" {
                    Function::Like
                } else {
                    Function::ILike
                };
                Ok(called(function, vec![of, pattern], Type::Bool, at))
            }
            ("array_cat" | "array_append" | "array_prepend", 2) => {
                let function = match name {
                    "array_cat" => Function::ArrayCat,
                    "array_append" => Function::ArrayAppend,
                    _ => Function::ArrayPrepend,
                };
                let b = args.remove(1);
                self.array_function(function, args.remove(0), b, at)
                    .map_err(|_| mismatch())
            }
            ("array_ndims", 1) => match args.remove(0) {
                Side::Known(arg, _) if arg.ty.element().is_some() => {
                    Ok(called(Function::ArrayNdims, vec![arg], Type::Int4, at))
                }
                _ => Err(mismatch()),
            },
            ("timezone", 2) => {
                let (zone, of) = (args.remove(0), args.remove(0));
                let Side::Literal(Some(zone), zone_at) = zone else {
                    return Err(mismatch());
                };
                if !matches!(&*zone.to_ascii_uppercase(), "UTC" | "GMT" | "Z" | "ETC/UTC") {
                    let fault = Fault::TimeZone(zone.to_string());
                    return Err(PredicateError::at(zone_at, fault));
                }
                let ty = match of.ty() {
                    Some(Type::Timestamp) => Type::Timestamptz,
                    Some(Type::Timestamptz | Type::Date) | None => Type::Timestamp,
                    _ => return Err(mismatch()),
                };
                let from = if ty == Type::Timestamp {
                    Type::Timestamptz
                } else {
                    Type::Timestamp
                };
                let of = self.coerce(of, &from, at)?;
                let zone = Expr {
                    op: Op::Const(Value::text("UTC")),
                    ty: Type::Text,
                };
                Ok(called(Function::Timezone, vec![zone, of], ty, at))
            }
            ("justify_days" | "justify_hours" | "justify_interval", 1) => {
                let function = match name {
                    "justify_days" => Function::JustifyDays,
                    "justify_hours" => Function::JustifyHours,
                    _ => Function::JustifyInterval,
                };
                let arg = self.coerce(args.remove(0), &Type::Interval, at)?;
                Ok(called(function, vec![arg], Type::Interval, at))
            }
            _ => Err(unknown()),
        }
    }
}

fn called(function: Function, args: Vec<Expr>, ty: Type, at: usize) -> Side {
    Side::Known(
        Expr {
            op: Op::Call(function, args),
            ty,
        },
        at,
    )
}

/// A negative literal is one number: `-2147483648` is an int4.
fn negated(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Int(i) => Value::Int(i.checked_neg()?),
        Value::Numeric(n) => Value::Numeric(n.negate()),
        _ => return None,
    })
}
