//! `where` clauses: read once, checked against the table, evaluated over rows in three values, and
//! printed back as SQL of our own.

mod ast;
mod convert;
mod error;
mod eval;
mod expr;
mod functions;
mod grammar;
mod keys;
mod lex;
mod order;
mod overload;
mod resolve;
mod words;

use error::Fault;
pub use error::PredicateError;
pub use eval::EvalError;
pub(crate) use keys::Keys;
pub use order::Order;

use crate::table::{Row, Table};
use expr::Expr;
use smol_str::SmolStr;

/// A `where` clause over the columns of one table.
///
/// It is read once, by a grammar that is a list of what is admitted. What it is evaluated to is
/// what Postgres answers, for: comparison, `AND`, `OR`, `NOT`, `IS [NOT] NULL | TRUE | FALSE |
/// UNKNOWN`, `IS [NOT] DISTINCT FROM`, `IN (…)`, `BETWEEN [SYMMETRIC]`, `ANY` and `ALL` of arrays,
/// `LIKE`, `ILIKE`, `||`, arithmetic and bits, `@> <@ &&`, `a[1]`, `a[1:2]`, `ARRAY[…]`, `::` and
/// `CAST`, `AT TIME ZONE 'UTC'`, and the functions `coalesce`, `greatest`, `least`, `lower`,
/// `upper`, `concat`, `like`, `ilike`, `array_cat`, `array_append`, `array_prepend`, `array_ndims`,
/// `timezone`, `justify_days`, `justify_hours` and `justify_interval`. Text is ordered by its bytes.
///
/// A parameter is never text within the clause: `$1` is a literal of the type that stands beside it.
///
/// ```
/// use channel_sync::{Predicate, Row, Table, Type};
/// let table = Table::new("public", "todos")
///     .column("id", Type::Int4)
///     .column("owner", Type::Text)
///     .primary_key(["id"]);
/// let mine = Predicate::parse("owner = $1 AND id > 1", &table, &["ann' OR true".into()])?;
/// assert_eq!(mine.sql(), r#"(("owner" = 'ann'' OR true'::text) AND ("id" > 1))"#);
/// assert!(mine.matches(&Row::from([Some("2"), Some("ann' OR true")]))?);
/// assert!(!mine.matches(&Row::from([Some("2"), None]))?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Predicate {
    expr: Expr,
    sql: SmolStr,
}

impl Predicate {
    /// Reads the clause for this table.
    ///
    /// # Errors
    ///
    /// The text has more than 256 KiB or is nested more than 64 deep, is not of the language above,
    /// names a column that the table does not have, uses operators on types that they are not for,
    /// has a literal or a parameter that is not a value of its type, lacks a parameter, or is not a
    /// boolean. Parameters that the clause does not use are allowed.
    pub fn parse(
        text: &str,
        table: &Table,
        params: &[SmolStr],
    ) -> Result<Predicate, PredicateError> {
        let ast = grammar::parse(text)?;
        let expr = resolve::Resolver { table, params }.clause(&ast)?;
        let sql = expr.to_string().into();
        Ok(Predicate { expr, sql })
    }

    /// Returns true if the row matches the clause; unknown is no match.
    ///
    /// # Errors
    ///
    /// The clause has no value for this row, as when it divides by zero.
    pub fn matches(&self, row: &Row) -> Result<bool, EvalError> {
        Ok(self.expr.truth(row)? == Some(true))
    }

    /// The three values: `None` is unknown.
    ///
    /// # Errors
    ///
    /// As of [`matches`](Predicate::matches).
    pub fn evaluate(&self, row: &Row) -> Result<Option<bool>, EvalError> {
        self.expr.truth(row)
    }

    /// The clause as SQL for Postgres, with every operator in parentheses and the parameters in it
    /// as quoted literals with their types. Two spellings of the same clause are the same text.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The values that one column has in every row of the clause, if the clause says so.
    pub(crate) fn keys(&self) -> Option<Keys> {
        keys::of(&self.expr)
    }
}

#[cfg(test)]
mod tests;
