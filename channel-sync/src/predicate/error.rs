//! The mistakes in a predicate, in Electric's words.

use std::fmt;

/// A `where` clause that is refused. Its text is the one that Electric's clients see:
///
/// ```
/// use channel_sync::{Predicate, Table, Type};
/// let table = Table::new("public", "todos").column("id", Type::Int4).primary_key(["id"]);
/// let error = Predicate::parse("nope = 1", &table, &[]).unwrap_err();
/// assert_eq!(error.to_string(), "At location 0: unknown reference nope");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredicateError {
    at: Option<usize>,
    fault: Fault,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    TooLong,
    TooDeep,
    Token(String),
    Near(String),
    End,
    Split,
    NotBoolean,
    UnknownReference(String),
    MissingParam(usize),
    InvalidSyntax { ty: String, text: String },
    OutOfRange { ty: String, text: String },
    UnknownOperator(String),
    UnknownUnary(String),
    NoOverload,
    NoFunctionOverload(String),
    UnknownFunction { name: String, args: usize },
    Aggregate,
    Unsupported(&'static str),
    UnknownType(String),
    NoCast { from: String, to: String },
    PlainColumn,
    Subquery,
    EmptyArray,
    TimeZone(String),
}

/// The prefix that Electric parses a clause with; positions of syntax errors count it.
const PREFIX: usize = "SELECT 1 WHERE ".len();

impl PredicateError {
    pub(super) fn at(at: usize, fault: Fault) -> PredicateError {
        PredicateError {
            at: Some(at),
            fault,
        }
    }

    pub(super) fn whole(fault: Fault) -> PredicateError {
        PredicateError { at: None, fault }
    }

    /// The same mistake, that many characters further behind.
    pub(super) fn behind(self, characters: usize) -> PredicateError {
        PredicateError {
            at: self.at.map(|at| at + characters),
            ..self
        }
    }

    /// The character of the clause, from 0, at which the mistake is; `None` when it is the whole.
    pub fn position(&self) -> Option<usize> {
        self.at
    }
}

impl std::error::Error for PredicateError {}

impl fmt::Display for PredicateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            let prefixed = matches!(
                self.fault,
                Fault::Near(_) | Fault::End | Fault::Token(_) | Fault::PlainColumn
            );
            write!(
                f,
                "At location {}: ",
                if prefixed { at + PREFIX } else { at }
            )?;
        }
        match &self.fault {
            Fault::TooLong => {
                write!(
                    f,
                    "the clause has more than {} bytes",
                    super::lex::MAX_LENGTH
                )
            }
            Fault::TooDeep => {
                write!(
                    f,
                    "expressions are nested more than {} deep",
                    super::ast::MAX_DEPTH
                )
            }
            Fault::Token(message) => {
                let message = message.to_lowercase();
                write!(f, "syntax error: {}", message.trim_end_matches('.'))
            }
            Fault::Near(written) => write!(f, "syntax error at or near \"{written}\""),
            Fault::End => f.write_str("syntax error at end of input"),
            Fault::Split => f.write_str("unescaped \";\" causing statement split"),
            Fault::NotBoolean => f.write_str("WHERE clause must return a boolean"),
            Fault::UnknownReference(name) => write!(f, "unknown reference {name}"),
            Fault::MissingParam(number) => write!(f, "parameter ${number} was not provided"),
            Fault::InvalidSyntax { ty, text } => write!(f, "invalid syntax for type {ty}: {text}"),
            Fault::OutOfRange { ty, text } => write!(f, "{text} is out of range for type {ty}"),
            Fault::UnknownOperator(op) => write!(f, "unknown binary operator \"{op}\""),
            Fault::UnknownUnary(op) => write!(f, "unknown unary operator \"{op}\""),
            Fault::NoOverload => f.write_str("Could not select an operator overload"),
            Fault::NoFunctionOverload(name) => {
                write!(f, "Could not select a function overload of {name}")
            }
            Fault::UnknownFunction { name, args } => {
                write!(f, "unknown or unsupported function {name}/{args}")
            }
            Fault::Aggregate => f.write_str("aggregation is not supported in this context"),
            Fault::Unsupported(what) => write!(f, "{what} is not supported in this context"),
            Fault::UnknownType(name) => write!(f, "unsupported type {name}"),
            Fault::NoCast { from, to } => write!(f, "unknown cast from type {from} to type {to}"),
            Fault::PlainColumn => f.write_str("Expected a plain column reference"),
            Fault::Subquery => f.write_str("subqueries are not supported by this server yet"),
            Fault::EmptyArray => f.write_str("an empty array needs a type: '{}'::int4[]"),
            Fault::TimeZone(zone) => write!(f, "unsupported time zone {zone}: only UTC is"),
        }
    }
}
