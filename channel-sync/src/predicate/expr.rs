//! Typed expressions, and the SQL that they are printed as.

use super::ast::Test;
use crate::table::quote_identifier;
use crate::value::{Type, Value};
use smol_str::SmolStr;
use std::fmt::{self, Display, Write};

#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) op: Op,
    pub(crate) ty: Type,
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Const(Value),
    /// A number that was written as such: printed bare, where a parameter is printed with its type.
    Number(Value),
    Column(usize, SmolStr),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Is(Box<Expr>, Test, bool),
    Distinct(Box<Expr>, Box<Expr>, bool),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    In(Box<Expr>, Vec<Expr>, bool),
    /// `left <op> ANY (array)`; with `true`, ALL.
    Quantified(Comparison, Box<Expr>, Box<Expr>, bool),
    Call(Function, Vec<Expr>),
    Cast(Box<Expr>),
    Array(Vec<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Comparison {
    pub(super) fn named(sign: &str) -> Option<Comparison> {
        Some(match sign {
            "=" => Comparison::Eq,
            "<>" => Comparison::Ne,
            "<" => Comparison::Lt,
            "<=" => Comparison::Le,
            ">" => Comparison::Gt,
            ">=" => Comparison::Ge,
            _ => return None,
        })
    }

    pub(super) fn sign(self) -> &'static str {
        match self {
            Comparison::Eq => "=",
            Comparison::Ne => "<>",
            Comparison::Lt => "<",
            Comparison::Le => "<=",
            Comparison::Gt => ">",
            Comparison::Ge => ">=",
        }
    }

    pub(super) fn is_equality(self) -> bool {
        matches!(self, Comparison::Eq | Comparison::Ne)
    }
}

/// Operators and functions, told apart further by the types of their arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Negate,
    Plus,
    Root,
    Absolute,
    BitAnd,
    BitOr,
    BitXor,
    BitNot,
    ShiftLeft,
    ShiftRight,
    Join,
    Like,
    NotLike,
    ILike,
    NotILike,
    Contains,
    Contained,
    Overlaps,
    Index,
    /// Array, lower and upper bound; a null constant stands for a bound that is not given.
    Slice,
    Coalesce,
    Greatest,
    Least,
    Lower,
    Upper,
    Concat,
    ArrayCat,
    ArrayAppend,
    ArrayPrepend,
    ArrayNdims,
    /// `timezone('UTC', ts)`.
    Timezone,
    JustifyDays,
    JustifyHours,
    JustifyInterval,
}

impl Function {
    fn print(self) -> Printed {
        use Function::*;
        match self {
            Add => Printed::Infix("+"),
            Subtract => Printed::Infix("-"),
            Multiply => Printed::Infix("*"),
            Divide => Printed::Infix("/"),
            Power => Printed::Infix("^"),
            Negate => Printed::Prefix("-"),
            Plus => Printed::Prefix("+"),
            Root => Printed::Prefix("|/"),
            Absolute => Printed::Prefix("@"),
            BitAnd => Printed::Infix("&"),
            BitOr => Printed::Infix("|"),
            BitXor => Printed::Infix("#"),
            BitNot => Printed::Prefix("~"),
            ShiftLeft => Printed::Infix("<<"),
            ShiftRight => Printed::Infix(">>"),
            Join => Printed::Infix("||"),
            Like => Printed::Infix("LIKE"),
            NotLike => Printed::Infix("NOT LIKE"),
            ILike => Printed::Infix("ILIKE"),
            NotILike => Printed::Infix("NOT ILIKE"),
            Contains => Printed::Infix("@>"),
            Contained => Printed::Infix("<@"),
            Overlaps => Printed::Infix("&&"),
            Index | Slice => Printed::Subscript,
            Coalesce => Printed::Call("coalesce"),
            Greatest => Printed::Call("greatest"),
            Least => Printed::Call("least"),
            Lower => Printed::Call("lower"),
            Upper => Printed::Call("upper"),
            Concat => Printed::Call("concat"),
            ArrayCat => Printed::Call("array_cat"),
            ArrayAppend => Printed::Call("array_append"),
            ArrayPrepend => Printed::Call("array_prepend"),
            ArrayNdims => Printed::Call("array_ndims"),
            Timezone => Printed::Call("timezone"),
            JustifyDays => Printed::Call("justify_days"),
            JustifyHours => Printed::Call("justify_hours"),
            JustifyInterval => Printed::Call("justify_interval"),
        }
    }
}

enum Printed {
    Infix(&'static str),
    Prefix(&'static str),
    Call(&'static str),
    Subscript,
}

/// SQL that Postgres reads as this expression: every operator in parentheses, every literal quoted
/// and with its type, text ordered by the collation that is evaluated here.
impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.op {
            Op::Number(value) => match value.to_text(&self.ty) {
                Some(text) => f.write_str(&text),
                None => f.write_str("NULL"),
            },
            Op::Const(value) => literal(f, value, &self.ty),
            Op::Column(_, name) => f.write_str(&quote_identifier(name)),
            Op::Not(of) => write!(f, "(NOT {of})"),
            Op::And(items) => joined(f, items, " AND "),
            Op::Or(items) => joined(f, items, " OR "),
            Op::Is(of, test, negated) => {
                let not = if *negated { "NOT " } else { "" };
                let test = match test {
                    Test::Null => "NULL",
                    Test::True => "TRUE",
                    Test::False => "FALSE",
                    Test::Unknown => "UNKNOWN",
                };
                write!(f, "({of} IS {not}{test})")
            }
            Op::Distinct(a, b, negated) => {
                let not = if *negated { "NOT " } else { "" };
                write!(f, "({a} IS {not}DISTINCT FROM {b})")
            }
            Op::Compare(op, a, b) => {
                let collate = collation(a, *op);
                write!(f, "({a}{collate} {} {b})", op.sign())
            }
            Op::In(of, items, negated) => {
                write!(f, "({of} {}IN ", if *negated { "NOT " } else { "" })?;
                joined(f, items, ", ")?;
                f.write_str(")")
            }
            Op::Quantified(op, left, array, all) => {
                let collate = collation(left, *op);
                let word = if *all { "ALL" } else { "ANY" };
                write!(f, "({left}{collate} {} {word} ({array}))", op.sign())
            }
            Op::Call(function, args) => call(f, *function, args),
            Op::Cast(of) => write!(f, "({of})::{}", type_name(&self.ty)),
            Op::Array(items) => {
                f.write_str("ARRAY[")?;
                separated(f, items, ", ")?;
                write!(f, "]::{}", type_name(&self.ty))
            }
        }
    }
}

fn collation(left: &Expr, op: Comparison) -> &'static str {
    if left.ty.is_text() && !op.is_equality() {
        " COLLATE \"C\""
    } else {
        ""
    }
}

fn call(f: &mut fmt::Formatter<'_>, function: Function, args: &[Expr]) -> fmt::Result {
    match (function.print(), args) {
        (Printed::Infix(sign), [a, b]) => write!(f, "({a} {sign} {b})"),
        (Printed::Prefix(sign), [a]) => write!(f, "({sign} {a})"),
        (Printed::Subscript, [of, low, high]) if function == Function::Slice => {
            let bound = |e: &Expr| match e.op {
                Op::Const(Value::Null) => String::new(),
                _ => e.to_string(),
            };
            write!(f, "({of})[{}:{}]", bound(low), bound(high))
        }
        (Printed::Subscript, [of, indexes @ ..]) => {
            write!(f, "({of})")?;
            indexes.iter().try_for_each(|index| write!(f, "[{index}]"))
        }
        (Printed::Call(name), args) => {
            // Greatest and least order text too.
            write!(f, "{name}(")?;
            for (i, arg) in args.iter().enumerate() {
                let separator = if i > 0 { ", " } else { "" };
                let orders = matches!(function, Function::Greatest | Function::Least);
                let collate = if orders {
                    collation(arg, Comparison::Lt)
                } else {
                    ""
                };
                write!(f, "{separator}{arg}{collate}")?;
            }
            f.write_str(")")
        }
        // The resolver gives every operator its number of arguments.
        (Printed::Infix(name) | Printed::Prefix(name), args) => {
            f.write_str(name)?;
            joined(f, args, ", ")
        }
        (Printed::Subscript, []) => Ok(()),
    }
}

fn joined(f: &mut fmt::Formatter<'_>, items: &[Expr], separator: &str) -> fmt::Result {
    f.write_str("(")?;
    separated(f, items, separator)?;
    f.write_str(")")
}

fn separated(f: &mut fmt::Formatter<'_>, items: &[Expr], separator: &str) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

fn literal(f: &mut fmt::Formatter<'_>, value: &Value, ty: &Type) -> fmt::Result {
    match (value, value.to_text(ty)) {
        (Value::Bool(true), _) => f.write_str("TRUE"),
        (Value::Bool(false), _) => f.write_str("FALSE"),
        (_, None) => write!(f, "NULL::{}", type_name(ty)),
        (_, Some(text)) => {
            // A backslash means itself only under standard_conforming_strings: E'' says it always.
            f.write_str(if text.contains('\\') { "E'" } else { "'" })?;
            for c in text.chars() {
                if matches!(c, '\'' | '\\') {
                    f.write_char(c)?;
                }
                f.write_char(c)?;
            }
            write!(f, "'::{}", type_name(ty))
        }
    }
}

/// The names of built-in types need no quotes; all others do.
fn type_name(ty: &Type) -> String {
    let (base, array) = match ty {
        Type::Array(element) => (&**element, "[]"),
        ty => (ty, ""),
    };
    match base {
        Type::Enum(e) if e.schema.is_some() => {
            let schema = quote_identifier(e.schema.as_deref().unwrap_or_default());
            format!("{schema}.{}{array}", quote_identifier(&e.name))
        }
        Type::Enum(_) | Type::Other(_) => format!("{}{array}", quote_identifier(base.base_name())),
        base => format!("{base}{array}"),
    }
}
