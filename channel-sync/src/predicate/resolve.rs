//! Gives every expression its type: columns from the table, literals from their neighbours,
//! operators and functions by the types of their arguments.

use super::ast::{Ast, Node, Test};
use super::expr::{Comparison, Expr, Function, Op};
use super::{Fault, PredicateError, convert};
use crate::table::Table;
use crate::value::{Type, Value};
use smol_str::SmolStr;

type Result<T> = std::result::Result<T, PredicateError>;

/// A resolved expression, or a literal whose type its surroundings decide.
pub(super) enum Side {
    Known(Expr, usize),
    /// A quoted literal, a parameter, or (without text) NULL.
    Literal(Option<SmolStr>, usize),
}

impl Side {
    pub(super) fn ty(&self) -> Option<&Type> {
        match self {
            Side::Known(e, _) => Some(&e.ty),
            Side::Literal(..) => None,
        }
    }

    pub(super) fn at(&self) -> usize {
        match self {
            Side::Known(_, at) | Side::Literal(_, at) => *at,
        }
    }
}

pub(super) struct Resolver<'a> {
    pub(super) table: &'a Table,
    pub(super) params: &'a [SmolStr],
}

pub(super) fn no_overload(at: usize) -> PredicateError {
    PredicateError::at(at, Fault::NoOverload)
}

impl Resolver<'_> {
    /// The whole clause.
    pub(super) fn clause(&self, ast: &Ast) -> Result<Expr> {
        match self.side(ast)? {
            Side::Known(expr, _) if expr.ty == Type::Bool => Ok(expr),
            _ => Err(PredicateError::whole(Fault::NotBoolean)),
        }
    }

    pub(super) fn column(&self, parts: &[String], at: usize) -> Result<(usize, SmolStr)> {
        let unknown = || PredicateError::at(at, Fault::UnknownReference(parts.join(".")));
        let [name] = parts else { return Err(unknown()) };
        let index = self.table.column_index(name).ok_or_else(unknown)?;
        Ok((index, self.table.columns()[index].name().into()))
    }

    fn sides(&self, items: &[Ast]) -> Result<Vec<Side>> {
        items.iter().map(|item| self.side(item)).collect()
    }

    fn side(&self, ast: &Ast) -> Result<Side> {
        let at = ast.at;
        let known = |op, ty| Ok(Side::Known(Expr { op, ty }, at));
        let boolean = |op| known(op, Type::Bool);
        match &ast.node {
            Node::Column(parts) => {
                let (index, name) = self.column(parts, at)?;
                known(
                    Op::Column(index, name),
                    self.table.columns()[index].ty().clone(),
                )
            }
            Node::Integer(digits) => self.number(digits, at),
            Node::Decimal(digits) => {
                let value = Value::parse(digits, &Type::Numeric)
                    .map_err(|_| invalid(at, &Type::Numeric, digits))?;
                known(Op::Number(value), Type::Numeric)
            }
            Node::Text(text) => Ok(Side::Literal(Some(text.as_str().into()), at)),
            Node::Null => Ok(Side::Literal(None, at)),
            Node::Bool(b) => boolean(Op::Const(Value::Bool(*b))),
            Node::Param(number) => {
                let param = number.checked_sub(1).and_then(|i| self.params.get(i));
                let missing = || PredicateError::at(at, Fault::MissingParam(*number));
                Ok(Side::Literal(Some(param.ok_or_else(missing)?.clone()), at))
            }
            Node::Not(of) => boolean(Op::Not(Box::new(self.boolean(of)?))),
            Node::And(items) => {
                let items = self
                    .booleans(items)?
                    .into_iter()
                    .flat_map(|item| match item.op {
                        Op::And(inner) => inner,
                        _ => vec![item],
                    });
                boolean(Op::And(items.collect()))
            }
            Node::Or(items) => {
                let items = self
                    .booleans(items)?
                    .into_iter()
                    .flat_map(|item| match item.op {
                        Op::Or(inner) => inner,
                        _ => vec![item],
                    });
                boolean(Op::Or(items.collect()))
            }
            Node::Unary(sign, of) => self.unary(sign, of, at),
            Node::Binary(sign, a, b) => {
                let (a, b) = (self.side(a)?, self.side(b)?);
                self.binary(sign, a, b, at)
            }
            Node::Is(of, test, negated) => {
                let of = match test {
                    Test::Null => self.text_if_literal(self.side(of)?)?,
                    _ => self.boolean(of)?,
                };
                boolean(Op::Is(Box::new(of), *test, *negated))
            }
            Node::Distinct(a, b, negated) => {
                let (a, b) = self.comparable(Comparison::Eq, self.side(a)?, self.side(b)?, at)?;
                boolean(Op::Distinct(Box::new(a), Box::new(b), *negated))
            }
            Node::In(of, items, negated) => {
                let mut all = vec![self.side(of)?];
                all.extend(self.sides(items)?);
                let mut all = self.unify(all, at)?;
                self.check_comparable(Comparison::Eq, &all[0].ty, at)?;
                let of = Box::new(all.remove(0));
                boolean(Op::In(of, all, *negated))
            }
            Node::Between {
                of,
                low,
                high,
                symmetric,
                negated,
            } => {
                let test = |op, a: &Ast, b: &Ast| -> Result<Expr> {
                    let (a, b) = self.comparable(op, self.side(a)?, self.side(b)?, at)?;
                    let op = Op::Compare(op, Box::new(a), Box::new(b));
                    Ok(Expr { op, ty: Type::Bool })
                };
                let within = |low: &Ast, high: &Ast| -> Result<Expr> {
                    let both = vec![
                        test(Comparison::Ge, of, low)?,
                        test(Comparison::Le, of, high)?,
                    ];
                    Ok(Expr {
                        op: Op::And(both),
                        ty: Type::Bool,
                    })
                };
                let mut expr = within(low, high)?;
                if *symmetric {
                    let op = Op::Or(vec![expr, within(high, low)?]);
                    expr = Expr { op, ty: Type::Bool };
                }
                if *negated {
                    expr = Expr {
                        op: Op::Not(Box::new(expr)),
                        ty: Type::Bool,
                    };
                }
                Ok(Side::Known(expr, at))
            }
            Node::Like {
                of,
                pattern,
                fold,
                negated,
            } => {
                let of = self.text_if_literal(self.side(of)?)?;
                let pattern = self.text_if_literal(self.side(pattern)?)?;
                if !of.ty.is_text() || !pattern.ty.is_text() {
                    return Err(no_overload(at));
                }
                let function = match (fold, negated) {
                    (false, false) => Function::Like,
                    (false, true) => Function::NotLike,
                    (true, false) => Function::ILike,
                    (true, true) => Function::NotILike,
                };
                boolean(Op::Call(function, vec![of, pattern]))
            }
            Node::Quantified {
                left,
                operator,
                array,
                all,
            } => self.quantified(left, operator, array, *all, at),
            Node::Cast(of, name) => {
                let ty = self.type_named(name, at)?;
                match self.side(of)? {
                    literal @ Side::Literal(..) => {
                        let expr = self.coerce(literal, &ty, at)?;
                        Ok(Side::Known(expr, at))
                    }
                    Side::Known(expr, _) if expr.ty == ty => Ok(Side::Known(expr, at)),
                    Side::Known(expr, _) if convert::can_cast(&expr.ty, &ty) => {
                        known(Op::Cast(Box::new(expr)), ty)
                    }
                    Side::Known(expr, _) => {
                        let (from, to) = (expr.ty.to_string(), ty.to_string());
                        Err(PredicateError::at(at, Fault::NoCast { from, to }))
                    }
                }
            }
            Node::Call(name, args) => self.call(name, self.sides(args)?, at),
            Node::Array(items) => self.array(items, at),
            Node::Index(of, indexes) => {
                let of = self.known(of)?;
                let Some(element) = of.ty.element().cloned() else {
                    return Err(no_overload(at));
                };
                let mut args = vec![of];
                for index in indexes {
                    args.push(self.coerce(self.side(index)?, &Type::Int4, index.at)?);
                }
                known(Op::Call(Function::Index, args), element)
            }
            Node::Slice(of, low, high) => {
                let of = self.known(of)?;
                let ty = of.ty.clone();
                if ty.element().is_none() {
                    return Err(no_overload(at));
                }
                let mut args = vec![of];
                for bound in [low, high] {
                    args.push(match bound {
                        Some(ast) => self.coerce(self.side(ast)?, &Type::Int4, ast.at)?,
                        None => Expr {
                            op: Op::Const(Value::Null),
                            ty: Type::Int4,
                        },
                    });
                }
                known(Op::Call(Function::Slice, args), ty)
            }
            Node::Zone(of, zone) => {
                let args = vec![self.side(zone)?, self.side(of)?];
                self.call("timezone", args, at)
            }
        }
    }

    fn number(&self, digits: &str, at: usize) -> Result<Side> {
        for ty in [Type::Int4, Type::Int8, Type::Numeric] {
            if let Ok(value) = Value::parse(digits, &ty) {
                return Ok(Side::Known(
                    Expr {
                        op: Op::Number(value),
                        ty,
                    },
                    at,
                ));
            }
        }
        Err(invalid(at, &Type::Numeric, digits))
    }

    pub(super) fn known(&self, ast: &Ast) -> Result<Expr> {
        match self.side(ast)? {
            Side::Known(expr, _) => Ok(expr),
            Side::Literal(_, at) => Err(no_overload(at)),
        }
    }

    fn boolean(&self, ast: &Ast) -> Result<Expr> {
        let side = self.side(ast)?;
        let at = side.at();
        self.coerce(side, &Type::Bool, at)
    }

    fn booleans(&self, items: &[Ast]) -> Result<Vec<Expr>> {
        items.iter().map(|item| self.boolean(item)).collect()
    }

    pub(super) fn text_if_literal(&self, side: Side) -> Result<Expr> {
        match side {
            Side::Known(expr, _) => Ok(expr),
            Side::Literal(_, at) => self.coerce(side, &Type::Text, at),
        }
    }

    /// The side as a value of the type: literals are read, narrower types widened.
    pub(super) fn coerce(&self, side: Side, ty: &Type, operator: usize) -> Result<Expr> {
        match side {
            Side::Literal(None, _) => Ok(Expr {
                op: Op::Const(Value::Null),
                ty: ty.clone(),
            }),
            Side::Literal(Some(text), at) => {
                if let Type::Other(name) = ty {
                    return Err(PredicateError::at(at, Fault::UnknownType(name.to_string())));
                }
                let value = Value::parse(&text, ty).map_err(|_| invalid(at, ty, &text))?;
                Ok(Expr {
                    op: Op::Const(value),
                    ty: ty.clone(),
                })
            }
            Side::Known(expr, _) => match convert::widen(&expr.ty, ty) {
                convert::Widen::Same => Ok(expr),
                convert::Widen::Cast => Ok(Expr {
                    op: Op::Cast(Box::new(expr)),
                    ty: ty.clone(),
                }),
                convert::Widen::No => Err(no_overload(operator)),
            },
        }
    }

    /// All sides as values of the one type that all of them can be.
    pub(super) fn unify(&self, sides: Vec<Side>, at: usize) -> Result<Vec<Expr>> {
        let mut common: Option<Type> = None;
        for ty in sides.iter().filter_map(Side::ty) {
            common = Some(match common {
                None => ty.clone(),
                Some(so_far) => convert::common(&so_far, ty).ok_or_else(|| no_overload(at))?,
            });
        }
        let common = common.unwrap_or(Type::Text);
        sides
            .into_iter()
            .map(|side| self.coerce(side, &common, at))
            .collect()
    }

    pub(super) fn check_comparable(&self, op: Comparison, ty: &Type, at: usize) -> Result<()> {
        let comparable = match ty {
            Type::Other(_) | Type::Interval => false,
            Type::Enum(_) => op.is_equality(),
            Type::Array(element) => !matches!(**element, Type::Other(_) | Type::Interval),
            _ => true,
        };
        if comparable {
            Ok(())
        } else {
            Err(no_overload(at))
        }
    }

    pub(super) fn comparable(
        &self,
        op: Comparison,
        a: Side,
        b: Side,
        at: usize,
    ) -> Result<(Expr, Expr)> {
        // An integer that no value of the other side can be is a mistake in the request.
        for (literal, other) in [(&a, &b), (&b, &a)] {
            if let (
                Side::Known(
                    Expr {
                        op: Op::Number(value),
                        ..
                    },
                    at,
                ),
                Some(ty),
            ) = (literal, other.ty())
                && matches!(ty, Type::Int2 | Type::Int4)
                && !matches!(
                    other,
                    Side::Known(
                        Expr {
                            op: Op::Number(_),
                            ..
                        },
                        _
                    )
                )
                && let Some(text) = out_of_int4(value)
            {
                let ty = ty.to_string();
                return Err(PredicateError::at(*at, Fault::OutOfRange { ty, text }));
            }
        }
        let mut both = self.unify(vec![a, b], at)?;
        self.check_comparable(op, &both[0].ty, at)?;
        // Two sides were given, so two come back.
        let b = both.remove(1);
        Ok((both.remove(0), b))
    }

    fn quantified(
        &self,
        left: &Ast,
        operator: &str,
        array: &Ast,
        all: bool,
        at: usize,
    ) -> Result<Side> {
        let unknown = || PredicateError::at(at, Fault::UnknownOperator(operator.to_owned()));
        let op = Comparison::named(operator).ok_or_else(unknown)?;
        let (left, array) = (self.side(left)?, self.side(array)?);
        let element = match (left.ty(), array.ty()) {
            (Some(ty), None) => ty.clone(),
            (None, Some(array)) => array.element().cloned().ok_or_else(|| no_overload(at))?,
            (Some(ty), Some(array)) => {
                let element = array.element().ok_or_else(|| no_overload(at))?;
                convert::common(ty, element).ok_or_else(|| no_overload(at))?
            }
            (None, None) => Type::Text,
        };
        self.check_comparable(op, &element, at)?;
        let left = Box::new(self.coerce(left, &element, at)?);
        let array = Box::new(self.coerce(array, &Type::array(element), at)?);
        let op = Op::Quantified(op, left, array, all);
        Ok(Side::Known(Expr { op, ty: Type::Bool }, at))
    }

    fn array(&self, items: &[Ast], at: usize) -> Result<Side> {
        let sides = self.sides(items)?;
        if sides.is_empty() {
            return Err(PredicateError::at(at, Fault::EmptyArray));
        }
        let items = self.unify(sides, at)?;
        let ty = Type::array(items[0].ty.clone());
        Ok(Side::Known(
            Expr {
                op: Op::Array(items),
                ty,
            },
            at,
        ))
    }

    /// The type of a cast: a built-in one, or an enum that the table has.
    fn type_named(&self, name: &str, at: usize) -> Result<Type> {
        let ty = Type::named(name);
        let base = ty.element().unwrap_or(&ty);
        if let Type::Other(other) = base {
            let mut types = self
                .table
                .columns()
                .iter()
                .map(|c| c.ty().element().unwrap_or(c.ty()));
            let found = types.find(|t| matches!(t, Type::Enum(e) if e.name == *other));
            return match (found, ty.element()) {
                (Some(found), None) => Ok(found.clone()),
                (Some(found), Some(_)) => Ok(Type::array(found.clone())),
                (None, _) => Err(PredicateError::at(at, Fault::UnknownType(name.to_owned()))),
            };
        }
        Ok(ty)
    }
}

fn invalid(at: usize, ty: &Type, text: &str) -> PredicateError {
    let ty = match ty {
        Type::Enum(e) => format!("enum {}", e.name),
        ty => ty.to_string(),
    };
    PredicateError::at(
        at,
        Fault::InvalidSyntax {
            ty,
            text: text.to_owned(),
        },
    )
}

fn out_of_int4(value: &Value) -> Option<String> {
    match value {
        Value::Int(i) if i32::try_from(*i).is_err() => Some(i.to_string()),
        Value::Numeric(n) if n.to_int().is_none() && !n.to_string().contains('.') => {
            Some(n.to_string())
        }
        _ => None,
    }
}
