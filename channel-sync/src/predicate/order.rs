//! `ORDER BY` of a subset: columns, each up or down.

use super::expr::Op;
use super::grammar;
use super::resolve::Resolver;
use super::{Fault, PredicateError};
use crate::table::{Row, Table, quote_identifier};
use crate::value::{Type, Value};
use smol_str::SmolStr;
use std::cmp::Ordering;

/// An `ORDER BY`: columns of a table, each up or down.
///
/// ```
/// use channel_sync::{Order, Row, Table, Type};
/// let table = Table::new("public", "t").column("n", Type::Int4);
/// let order = Order::parse("n DESC NULLS LAST", &table)?;
/// assert!(order.compare(&Row::from([Some("10")]), &Row::from([Some("9")])).is_lt());
/// assert!(order.compare(&Row::from([None]), &Row::from([Some("9")])).is_gt());
/// # Ok::<(), channel_sync::PredicateError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Order {
    columns: Vec<OrderColumn>,
}

#[derive(Debug, Clone)]
struct OrderColumn {
    index: usize,
    name: SmolStr,
    ty: Type,
    descending: bool,
    nulls_first: bool,
}

impl Order {
    /// Reads `n ASC, id DESC NULLS LAST`.
    ///
    /// # Errors
    ///
    /// It is not a list of the table's columns.
    pub fn parse(text: &str, table: &Table) -> Result<Order, PredicateError> {
        let resolver = Resolver { table, params: &[] };
        // Electric counts "SELECT 1 ORDER BY " before it.
        let moved = |e: PredicateError| e.behind("SELECT 1 ORDER BY ".len());
        let mut columns = Vec::new();
        for item in grammar::parse_order(text)? {
            let at = item.of.at;
            let expr = resolver.known(&item.of).map_err(moved)?;
            let Op::Column(index, name) = expr.op else {
                return Err(PredicateError::at(at, Fault::PlainColumn));
            };
            let ty = expr.ty;
            let nulls_first = item.nulls_first.unwrap_or(item.descending);
            columns.push(OrderColumn {
                index,
                name,
                ty,
                descending: item.descending,
                nulls_first,
            });
        }
        Ok(Order { columns })
    }

    /// The order as SQL for Postgres: text by its bytes, the place of nulls always said.
    ///
    /// ```
    /// # use channel_sync::{Order, Table, Type};
    /// let table = Table::new("public", "t").column("n", Type::Text);
    /// let order = Order::parse("n DESC", &table)?;
    /// assert_eq!(order.sql(), r#""n" COLLATE "C" DESC NULLS FIRST"#);
    /// # Ok::<(), channel_sync::PredicateError>(())
    /// ```
    pub fn sql(&self) -> String {
        let columns = self.columns.iter().map(|column| {
            format!(
                "{}{} {} NULLS {}",
                quote_identifier(&column.name),
                if column.ty.is_text() {
                    " COLLATE \"C\""
                } else {
                    ""
                },
                if column.descending { "DESC" } else { "ASC" },
                if column.nulls_first { "FIRST" } else { "LAST" },
            )
        });
        columns.collect::<Vec<_>>().join(", ")
    }

    /// Compares two rows by it. Text that is not a value of its type sorts like null.
    pub fn compare(&self, a: &Row, b: &Row) -> Ordering {
        for column in &self.columns {
            let value = |row: &Row| {
                let text = row.get(column.index);
                text.map_or(Value::Null, |t| {
                    Value::parse(t, &column.ty).unwrap_or(Value::Null)
                })
            };
            let (a, b) = (value(a), value(b));
            let order = match (a.is_null(), b.is_null()) {
                (true, true) => Ordering::Equal,
                (true, false) if column.nulls_first => Ordering::Less,
                (true, false) => Ordering::Greater,
                (false, true) if column.nulls_first => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) if column.descending => b.order(&a, &column.ty),
                (false, false) => a.order(&b, &column.ty),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }
}
