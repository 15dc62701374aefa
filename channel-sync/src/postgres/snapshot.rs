//! Rows as of one moment, as `COPY` sends them.

use super::describe::{Described, describe};
use super::error::{pool_error, source_error};
use crate::predicate::{Order, Predicate};
use crate::source::{Bounds, Query, Snapshot, SourceError};
use crate::table::{Row, quote_identifier};
use crate::value::Type;
use bytes::{Bytes, BytesMut};
use deadpool_postgres::{Object, Pool};
use futures_util::stream::{self, BoxStream, StreamExt};
use smol_str::SmolStr;
use std::collections::VecDeque;
use std::pin::Pin;
use tokio_postgres::CopyOutStream;

/// Reads the rows of a query within one transaction, of which the bounds are known.
pub(super) async fn take(
    pool: &Pool,
    publication: &str,
    query: &Query<'_>,
) -> Result<Snapshot, SourceError> {
    let object = pool.get().await.map_err(|e| pool_error(&e))?;
    let session = Session(Some(object));
    let client = session.client()?;
    let failed = |e: tokio_postgres::Error| source_error(&e);
    let name = query.relation.table.name();
    // The lock comes before the snapshot: a table that is written anew has all its rows in it, and is
    // not altered while they are read.
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '10s'; \
         LOCK TABLE {name} IN ACCESS SHARE MODE"
    );
    client.batch_execute(&begin).await.map_err(failed)?;
    let row = client
        .query_one(
            "SELECT pg_current_snapshot()::text, (pg_current_wal_lsn() - '0/0')::text",
            &[],
        )
        .await
        .map_err(failed)?;
    let bounds = bounds(row.get(0)).ok_or_else(|| unreadable("pg_current_snapshot"))?;
    let lsn = row
        .get::<_, &str>(1)
        .parse()
        .map_err(|_| unreadable("pg_current_wal_lsn"))?;
    let mut found = describe(&***client, publication, Some(name), &[])
        .await
        .map_err(failed)?;
    let described = found.pop().filter(|d| d.relation == *query.relation);
    let described = described.ok_or(SourceError::Altered)?;
    let rows = if query.limit == Some(0) {
        session.finish().await?;
        stream::empty().boxed()
    } else {
        let sql = select(&described, query);
        let copy = client
            .copy_out(&format!("COPY ({sql}) TO STDOUT"))
            .await
            .map_err(failed)?;
        rows(session, copy, &described)
    };
    Ok(Snapshot { bounds, lsn, rows })
}

fn unreadable(what: &str) -> SourceError {
    SourceError::Unavailable(format!("what {what}() answers cannot be read"))
}

/// `xmin:xmax:xip,xip`.
fn bounds(text: &str) -> Option<Bounds> {
    let mut parts = text.split(':');
    let xmin = parts.next()?.parse().ok()?;
    let xmax = parts.next()?.parse().ok()?;
    let xip = parts.next()?.split(',').filter(|xid| !xid.is_empty());
    let xip: Result<Vec<u64>, _> = xip.map(str::parse).collect();
    Some(Bounds {
        xmin,
        xmax,
        xip: xip.ok()?,
    })
}

/// Names are quoted and clauses printed: no text of a client is in it.
fn select(described: &Described, query: &Query<'_>) -> String {
    let table = &described.relation.table;
    let names = described
        .stream
        .iter()
        .map(|column| quote_identifier(&column.name));
    let names: Vec<String> = names.collect();
    let mut sql = format!("SELECT {} FROM {}", names.join(", "), table.name());
    let filters: Vec<&str> = query
        .filters
        .iter()
        .map(|filter: &&Predicate| filter.sql())
        .collect();
    if !filters.is_empty() {
        sql.push_str(&format!(" WHERE {}", filters.join(" AND ")));
    }
    if let Some(order) = query
        .order
        .map(Order::sql)
        .filter(|order| !order.is_empty())
    {
        sql.push_str(&format!(" ORDER BY {order}"));
    }
    if let Some(limit) = query.limit {
        sql.push_str(&format!(" LIMIT {}", limit.min(i64::MAX as u64)));
    }
    if query.offset > 0 {
        sql.push_str(&format!(" OFFSET {}", query.offset.min(i64::MAX as u64)));
    }
    sql
}

/// A connection with an open transaction. Unless it is finished, the connection is closed, and not
/// given to others.
struct Session(Option<Object>);

impl Session {
    fn client(&self) -> Result<&Object, SourceError> {
        let closed = || SourceError::Unavailable("the connection is closed".into());
        self.0.as_ref().ok_or_else(closed)
    }

    async fn finish(mut self) -> Result<(), SourceError> {
        self.client()?
            .batch_execute("COMMIT")
            .await
            .map_err(|e| source_error(&e))?;
        // Back to the pool.
        drop(self.0.take());
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

struct Rows {
    session: Session,
    copy: Pin<Box<CopyOutStream>>,
    open: BytesMut,
    ready: VecDeque<Row>,
    layout: Layout,
}

/// Which columns a line of `COPY` has.
struct Layout {
    width: usize,
    /// The place of each, and whether it is a boolean.
    columns: Vec<(usize, bool)>,
}

fn rows(
    session: Session,
    copy: CopyOutStream,
    described: &Described,
) -> BoxStream<'static, Result<Row, SourceError>> {
    let columns = described.relation.table.columns();
    let layout = Layout {
        width: columns.len(),
        columns: described
            .places()
            .map(|place| (place, *columns[place].ty() == Type::Bool))
            .collect(),
    };
    let rows = Rows {
        session,
        copy: Box::pin(copy),
        open: BytesMut::new(),
        ready: VecDeque::new(),
        layout,
    };
    stream::unfold(Some(rows), |rows| async {
        let mut rows = rows?;
        loop {
            if let Some(row) = rows.ready.pop_front() {
                return Some((Ok(row), Some(rows)));
            }
            match rows.copy.next().await {
                Some(Ok(bytes)) => {
                    if rows.take(bytes).is_none() {
                        return Some((Err(unreadable("COPY")), None));
                    }
                }
                Some(Err(error)) => return Some((Err(source_error(&error)), None)),
                None => {
                    let Rows { session, .. } = rows;
                    return match session.finish().await {
                        Ok(()) => None,
                        Err(error) => Some((Err(error), None)),
                    };
                }
            }
        }
    })
    .boxed()
}

impl Rows {
    /// Splits what came into lines. The server sends whole lines, but need not.
    fn take(&mut self, bytes: Bytes) -> Option<()> {
        let mut rest = if self.open.is_empty() {
            bytes
        } else {
            self.open.extend_from_slice(&bytes);
            self.open.split().freeze()
        };
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = rest.split_to(end + 1);
            let line = std::str::from_utf8(&line[..end]).ok()?;
            self.ready.push_back(self.layout.row(line)?);
        }
        self.open.extend_from_slice(&rest);
        Some(())
    }
}

impl Layout {
    fn row(&self, line: &str) -> Option<Row> {
        let mut values: Vec<Option<SmolStr>> = vec![None; self.width];
        // A table without columns has lines without values.
        if self.columns.is_empty() {
            return line.is_empty().then(|| values.into_iter().collect());
        }
        let mut fields = line.split('\t');
        for (place, boolean) in &self.columns {
            let field = fields.next()?;
            if field != "\\N" {
                let text = unescaped(field)?;
                *values.get_mut(*place)? = Some(if *boolean { spelled(&text) } else { text });
            }
        }
        fields
            .next()
            .is_none()
            .then(|| values.into_iter().collect())
    }
}

/// A boolean in words, as a cast to text gives it.
pub(super) fn spelled(text: &str) -> SmolStr {
    match text {
        "t" => "true".into(),
        "f" => "false".into(),
        other => other.into(),
    }
}

/// A field of `COPY`'s text format.
fn unescaped(field: &str) -> Option<SmolStr> {
    let Some(first) = field.find('\\') else {
        return Some(field.into());
    };
    let mut text = String::with_capacity(field.len());
    text.push_str(&field[..first]);
    let mut chars = field[first..].chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        text.push(match chars.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            other => other,
        });
    }
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_copy_is_a_row_whatever_its_values_have() {
        let layout = Layout {
            width: 4,
            columns: vec![(0, false), (1, true), (3, false)],
        };
        let row = layout.row("a\\tb\\\\c\\n\\b\tt\t\\N").expect("a row");
        let wanted = Row::from([Some("a\tb\\c\n\u{8}"), Some("true"), None, None]);
        assert_eq!(row, wanted);
        assert_eq!(layout.row("a\tt"), None);
        assert_eq!(layout.row("a\tt\tb\tc"), None);
        assert_eq!(layout.row("a\\\tt\tb"), None);
    }

    #[test]
    fn the_bounds_of_a_snapshot_are_read() {
        let wanted = Bounds {
            xmin: 10,
            xmax: 20,
            xip: vec![12, 14],
        };
        assert_eq!(bounds("10:20:12,14"), Some(wanted));
        let none = Bounds {
            xmin: 7,
            xmax: 7,
            xip: vec![],
        };
        assert_eq!(bounds("7:7:"), Some(none));
        assert_eq!(bounds("7:x:"), None);
    }
}
