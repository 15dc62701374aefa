//! Tables as the catalogue describes them.

use super::pgoutput::StreamColumn;
use crate::source::Relation;
use crate::table::{Column, Modifier, RelationName, Table};
use crate::value::{EnumType, Type};
use smol_str::SmolStr;
use std::sync::Arc;
use tokio_postgres::{GenericClient, Row};

/// A table, and what its changes come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) relation: Arc<Relation>,
    /// The columns that the stream has: those that are not generated.
    pub(super) stream: Vec<StreamColumn>,
    /// The tables that hold its rows: itself, or its partitions and those that inherit from it.
    pub(super) parts: Vec<Part>,
    /// Why it can be no shape.
    pub(super) unfit: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) oid: u32,
    pub(super) name: RelationName,
    /// Its replica identity is `FULL`.
    pub(super) full: bool,
    pub(super) published: bool,
}

impl Described {
    pub(super) fn oid(&self) -> u32 {
        self.relation.id
    }

    pub(super) fn name(&self) -> &RelationName {
        self.relation.table.name()
    }

    pub(super) fn part_oids(&self) -> Vec<u32> {
        self.parts.iter().map(|part| part.oid).collect()
    }

    /// Returns true if every change of the table's rows is published, with whole rows.
    pub(super) fn is_told(&self) -> bool {
        self.parts.iter().all(|part| part.full && part.published)
    }

    /// Places of the columns that the stream has.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        let columns = self.relation.table.columns().iter().enumerate();
        columns
            .filter(|(_, column)| !column.is_generated())
            .map(|(place, _)| place)
    }
}

/// One row a column, in the columns' order; a table without columns is one row.
const TABLES: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relpersistence::text AS persistence,
       pg_catalog.row_security_active(c.oid) AS hidden,
       pg_catalog.has_table_privilege(c.oid, 'SELECT')
         AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS readable,
       a.attname::text, a.attnotnull, a.attgenerated::text <> '' AS generated,
       a.attndims::int4 AS dims, a.atttypmod, a.atttypid,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS formatted,
       t.typcategory::text = 'A' AND e.oid IS NOT NULL AS is_array,
       coalesce(e.typname, t.typname)::text AS type_name,
       coalesce(en.nspname, tn.nspname)::text AS type_schema,
       coalesce(e.typtype, t.typtype)::text AS type_kind,
       (SELECT array_agg(l.enumlabel::text ORDER BY l.enumsortorder) FROM pg_catalog.pg_enum l
         WHERE l.enumtypid = coalesce(e.oid, t.oid)) AS labels,
       pg_catalog.array_position(i.indkey::int2[], a.attnum) AS key
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
  LEFT JOIN pg_catalog.pg_namespace en ON en.oid = e.typnamespace
  LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   AND c.oid IN (
     SELECT m.oid FROM pg_catalog.pg_class m JOIN pg_catalog.pg_namespace s ON s.oid = m.relnamespace
      WHERE s.nspname = $1 AND m.relname = $2
     UNION ALL SELECT pg_catalog.unnest($3::oid[]))
 ORDER BY c.oid, a.attnum";

/// The tables that hold the rows of each, and whether their changes are published.
const PARTS: &str = "
WITH RECURSIVE tree(root, oid) AS (
  SELECT r, r FROM pg_catalog.unnest($1::oid[]) r
  UNION SELECT t.root, h.inhrelid FROM tree t JOIN pg_catalog.pg_inherits h ON h.inhparent = t.oid),
told AS (
  SELECT p.relid FROM pg_catalog.pg_publication b, pg_catalog.pg_get_publication_tables(b.pubname::text) p
   WHERE b.pubname = $2)
SELECT t.root, c.oid, n.nspname::text, c.relname::text, c.relreplident::text = 'f' AS full,
       c.relkind::text = 'f' AS is_foreign, EXISTS (SELECT FROM told WHERE told.relid = c.oid) AS published,
       EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication b ON b.oid = r.prpubid
         WHERE b.pubname = $2 AND r.prrelid IN (t.root, c.oid)
           AND (pg_catalog.to_jsonb(r) ->> 'prqual' IS NOT NULL OR pg_catalog.to_jsonb(r) ->> 'prattrs' IS NOT NULL)
       ) AS filtered
  FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind IN ('r', 'f')
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY t.root, c.oid";

/// The table of the name, and those of the identities, as far as they are there.
pub(super) async fn describe(
    client: &impl GenericClient,
    publication: &str,
    name: Option<&RelationName>,
    oids: &[u32],
) -> Result<Vec<Described>, tokio_postgres::Error> {
    let (schema, table) = name.map_or(("", ""), |name| (&*name.schema, &*name.name));
    let rows = client.query(TABLES, &[&schema, &table, &oids]).await?;
    let mut found: Vec<Described> = Vec::new();
    let mut keys: Vec<(i32, SmolStr)> = Vec::new();
    let mut rows = rows.iter().peekable();
    while let Some(row) = rows.next() {
        let oid: u32 = row.get("oid");
        if found.last().is_none_or(|last| last.oid() != oid) {
            found.push(table_of(oid, row));
        }
        // There is one by now.
        let Some(last) = found.last_mut() else { break };
        if let Some(name) = row.get::<_, Option<&str>>("attname") {
            let generated: bool = row.get("generated");
            if !generated {
                last.stream.push(StreamColumn {
                    name: name.into(),
                    type_oid: row.get("atttypid"),
                    typmod: row.get("atttypmod"),
                });
            }
            if let Some(place) = row.get::<_, Option<i32>>("key") {
                keys.push((place, name.into()));
            }
            let relation = &last.relation;
            let table = relation.table.clone().with(column(name, row));
            last.relation = Arc::new(Relation { id: oid, table });
        }
        if rows
            .peek()
            .is_none_or(|next| next.get::<_, u32>("oid") != oid)
        {
            keys.sort();
            let names = keys.iter().map(|(_, name)| name.as_str());
            let table = last.relation.table.clone().primary_key(names);
            last.relation = Arc::new(Relation { id: oid, table });
            keys.clear();
        }
    }
    parts(client, publication, &mut found).await?;
    Ok(found)
}

fn table_of(oid: u32, row: &Row) -> Described {
    let table = Table::new(row.get("nspname"), row.get("relname"));
    let name = table.name();
    let unfit = if row.get::<_, &str>("persistence") != "p" {
        Some(format!(
            "Table {name} is unlogged or temporary: its changes are in no log, so it can be no shape"
        ))
    } else if !row.get::<_, bool>("readable") {
        Some(format!("Table {name} may not be read by this server"))
    } else if row.get::<_, bool>("hidden") {
        Some(format!(
            "Table {name} has row-level security that applies to this server, which the stream of \
             changes would not keep"
        ))
    } else {
        None
    };
    Described {
        relation: Arc::new(Relation { id: oid, table }),
        stream: Vec::new(),
        parts: Vec::new(),
        unfit,
    }
}

async fn parts(
    client: &impl GenericClient,
    publication: &str,
    found: &mut [Described],
) -> Result<(), tokio_postgres::Error> {
    if found.is_empty() {
        return Ok(());
    }
    let oids: Vec<u32> = found.iter().map(Described::oid).collect();
    for row in client.query(PARTS, &[&oids, &publication]).await? {
        let root: u32 = row.get("root");
        let Some(described) = found.iter_mut().find(|d| d.oid() == root) else {
            continue;
        };
        let name = RelationName {
            schema: row.get::<_, &str>("nspname").into(),
            name: row.get::<_, &str>("relname").into(),
        };
        let why = if row.get("is_foreign") {
            Some("has rows of a foreign table, whose changes are in no log here")
        } else if row.get("filtered") {
            Some("is published by the server's publication with some rows or columns only")
        } else {
            None
        };
        if let (Some(why), None) = (why, &described.unfit) {
            described.unfit = Some(format!("Table {} {why}", described.name()));
        }
        described.parts.push(Part {
            oid: row.get("oid"),
            name,
            full: row.get("full"),
            published: row.get("published"),
        });
    }
    Ok(())
}

fn column(name: &str, row: &Row) -> Column {
    let is_array: bool = row.get("is_array");
    let element = element(row);
    let ty = if is_array {
        Type::array(element)
    } else {
        element
    };
    let dims: i32 = row.get("dims");
    let mut column = Column::new(name, ty).modifier(modifier(row));
    if is_array {
        // A table that was made of a query does not know how many.
        column = column.dims(u32::try_from(dims).unwrap_or(1).max(1));
    }
    if row.get("attnotnull") {
        column = column.not_null();
    }
    if row.get("generated") {
        column = column.generated();
    }
    column
}

/// The type, or the element's of an array.
fn element(row: &Row) -> Type {
    let (schema, name): (&str, &str) = (row.get("type_schema"), row.get("type_name"));
    match row.get("type_kind") {
        "e" => Type::Enum(Arc::new(EnumType {
            schema: Some(schema.into()),
            name: name.into(),
            labels: row
                .get::<_, Option<Vec<&str>>>("labels")
                .unwrap_or_default()
                .into_iter()
                .map(SmolStr::from)
                .collect(),
        })),
        // The type `"char"` is one byte, not `char(n)`.
        "b" if schema == "pg_catalog" && name != "char" => Type::named(name),
        _ => Type::Other(name.into()),
    }
}

/// Decodes `atttypmod`, whose format depends on the type.
fn modifier(row: &Row) -> Modifier {
    let (name, typmod): (&str, i32) = (row.get("type_name"), row.get("atttypmod"));
    if row.get::<_, &str>("type_schema") != "pg_catalog" || typmod < 0 {
        return Modifier::None;
    }
    let length = |n: i32| u32::try_from(n).unwrap_or(0);
    match name {
        "varchar" => Modifier::MaxLength(length(typmod - 4)),
        "bpchar" => Modifier::Length(length(typmod - 4)),
        "bit" | "varbit" => Modifier::Length(length(typmod)),
        "numeric" => {
            let packed = typmod - 4;
            // The scale has eleven bits with a sign.
            let scale = ((packed & 0x7ff) ^ 1024) - 1024;
            Modifier::Numeric(length((packed >> 16) & 0xffff), scale)
        }
        "time" | "timetz" | "timestamp" | "timestamptz" => Modifier::Precision(length(typmod)),
        "interval" => {
            let text = row.get::<_, &str>("formatted").trim_end_matches("[]");
            let fields = text.trim_start_matches("interval").trim();
            match fields.split_once('(') {
                Some((_, digits)) => {
                    let digits = digits.trim_end_matches(')').parse();
                    digits.map_or(Modifier::None, Modifier::Precision)
                }
                None if fields.is_empty() => Modifier::None,
                None => Modifier::Fields(fields.to_uppercase().into()),
            }
        }
        _ => Modifier::None,
    }
}
