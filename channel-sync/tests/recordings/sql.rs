//! The statements of the recordings, done on tables in memory. It knows these statements, not SQL.

use channel_sync::{Column, MemorySource, MemoryTransaction, Modifier, Row, Table, Type};
use sqlparser::ast::{
    AlterColumnOperation, AlterTableOperation, AssignmentTarget, ColumnOption, DataType, Expr,
    FromTable, SetExpr, Statement, TableConstraint, TableFactor, UnaryOperator,
    UserDefinedTypeRepresentation, Value,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use std::collections::HashMap;

#[derive(Default)]
pub(crate) struct Database {
    pub(crate) source: MemorySource,
    tables: HashMap<String, Table>,
    enums: HashMap<String, Type>,
    /// Open transactions, by connection.
    open: HashMap<String, MemoryTransaction>,
}

/// Their texts, as Postgres gives them back; the types are not known here beyond their names.
const OTHER_TYPES: &[(&str, &str, &str)] = &[
    (
        "jsonb",
        r#"{"b": [1, 2], "a": 1.50}"#,
        r#"{"a": 1.50, "b": [1, 2]}"#,
    ),
    ("jsonb", r#"{"z":2}"#, r#"{"z": 2}"#),
    ("jsonb", r#"{"a":"x"}"#, r#"{"a": "x"}"#),
    ("bytea", "", "\\x"),
    ("money", "12.34", "$12.34"),
    ("money", "-1", "-$1.00"),
    ("tsvector", "a fat cat", "'a' 'cat' 'fat'"),
    ("timetz", "00:00-12", "00:00:00-12"),
];

impl Database {
    pub(crate) async fn run(&mut self, connection: &str, text: &str) {
        if text.starts_with("set ") || text.contains("create schema") {
            return;
        }
        for statement in text
            .split_inclusive(';')
            .map(|s| s.trim().trim_end_matches(';'))
        {
            if !statement.is_empty() {
                self.statement(connection, statement).await;
            }
        }
    }

    /// Several statements as one transaction.
    pub(crate) async fn together(&mut self, statements: &[&str]) {
        let mut tx = self.source.begin();
        let mut kept = true;
        for text in statements {
            match *text {
                // A savepoint that is rolled back: what is between is not done.
                "savepoint s" => kept = false,
                "rollback to s" => kept = true,
                text if kept => self.write(&mut tx, text),
                _ => {}
            }
        }
        tx.commit().await.expect("it commits");
    }

    async fn statement(&mut self, connection: &str, text: &str) {
        match text {
            "begin" => {
                self.open.insert(connection.into(), self.source.begin());
            }
            "commit" => {
                let tx = self.open.remove(connection).expect("a transaction is open");
                tx.commit().await.expect("it commits");
            }
            "rollback" => {
                self.open.remove(connection).expect("a transaction is open");
            }
            _ if ["insert", "update", "delete", "truncate"]
                .iter()
                .any(|w| text.starts_with(w)) =>
            {
                match self.open.remove(connection) {
                    Some(mut tx) => {
                        self.write(&mut tx, text);
                        self.open.insert(connection.into(), tx);
                    }
                    None => {
                        let mut tx = self.source.begin();
                        self.write(&mut tx, text);
                        tx.commit().await.unwrap_or_else(|e| panic!("{text}: {e}"));
                    }
                }
            }
            _ => self.define(text).await,
        }
    }

    async fn define(&mut self, text: &str) {
        // Statements that the parser does not know, or that tables in memory do not have.
        if text.starts_with("drop type")
            || text.starts_with("drop view")
            || text.starts_with("drop materialized")
            || text.starts_with("create view")
            || text.starts_with("create materialized")
            || text.contains("set storage")
            || text.starts_with("create domain")
            || text.starts_with("drop domain")
        {
            return;
        }
        let text = text.replace("interval day to second", "interval");
        match parse(&text) {
            Statement::CreateType {
                name,
                representation,
            } => {
                if let Some(UserDefinedTypeRepresentation::Enum { labels }) = representation {
                    let short = last(&name.to_string());
                    let labels: Vec<&str> = labels.iter().map(|l| l.value.as_str()).collect();
                    self.enums
                        .insert(short.clone(), Type::enumeration(&short, labels));
                }
            }
            Statement::CreateTable(create) => {
                let mut table = self.empty(&create.name.to_string());
                let mut key = Vec::new();
                for column in &create.columns {
                    let mut made = self.column(&column.name.value, &column.data_type);
                    for option in &column.options {
                        match option.option {
                            ColumnOption::PrimaryKey(_) => key.push(column.name.value.clone()),
                            ColumnOption::Generated { .. } => made = made.generated(),
                            _ => {}
                        }
                    }
                    table = table.with(made);
                }
                for constraint in &create.constraints {
                    if let TableConstraint::PrimaryKey(primary) = constraint {
                        key = primary
                            .columns
                            .iter()
                            .map(|c| c.column.expr.to_string())
                            .collect();
                    }
                }
                table = table.primary_key(key.iter().map(String::as_str));
                self.source
                    .create(table.clone())
                    .await
                    .expect("it is created");
                self.tables.insert(create.name.to_string(), table);
            }
            Statement::Drop { names, .. } => {
                for name in names {
                    if self.tables.remove(&name.to_string()).is_some() {
                        self.source
                            .drop_table(&name.to_string())
                            .await
                            .expect("it is dropped");
                    }
                }
            }
            Statement::AlterTable(alter) => {
                for operation in &alter.operations {
                    self.alter(&alter.name.to_string(), operation).await;
                }
            }
            other => panic!("{other}"),
        }
    }

    fn empty(&self, name: &str) -> Table {
        let name = channel_sync::RelationName::parse(name).expect("a name");
        Table::new(&name.schema, &name.name)
    }

    fn column(&self, name: &str, ty: &DataType) -> Column {
        let text = ty.to_string().to_lowercase();
        let (base, dims) = (
            text.trim_end_matches("[]"),
            text.matches("[]").count() as u32,
        );
        let (base, modifier) = match base.split_once('(') {
            Some((base, inside)) => (base, inside.trim_end_matches(')')),
            None => (base, ""),
        };
        let numbers: Vec<i32> = modifier
            .split(',')
            .filter_map(|n| n.trim().parse().ok())
            .collect();
        let modifier = match (base, &numbers[..]) {
            ("varchar", [n]) => Modifier::MaxLength(*n as u32),
            ("char" | "bit" | "varbit" | "bit varying", [n]) => Modifier::Length(*n as u32),
            ("numeric", [precision, scale]) => Modifier::Numeric(*precision as u32, *scale),
            ("time" | "timestamp", [n]) => Modifier::Precision(*n as u32),
            _ => Modifier::None,
        };
        let modifier = if name == "ivd" {
            Modifier::Fields("DAY TO SECOND".into())
        } else {
            modifier
        };
        let short = last(base);
        let ty = self
            .enums
            .get(&short)
            .cloned()
            .unwrap_or_else(|| match base {
                "bit varying" => Type::named("varbit"),
                _ => Type::named(&short),
            });
        let ty = if dims > 0 { Type::array(ty) } else { ty };
        Column::new(name, ty).dims(dims).modifier(modifier)
    }

    async fn alter(&mut self, name: &str, operation: &AlterTableOperation) {
        let old = self.tables.remove(name).expect("the table is there");
        let key: Vec<String> = old.key_columns().map(str::to_owned).collect();
        let mut new_name = name.to_owned();
        // Each column with the place that its values come from.
        let mut columns: Vec<(Column, Option<usize>)> =
            old.columns().iter().cloned().zip((0..).map(Some)).collect();
        match operation {
            AlterTableOperation::AddColumn { column_def, .. } => {
                let column = self.column(&column_def.name.value, &column_def.data_type);
                columns.push((column, None));
            }
            AlterTableOperation::DropColumn { column_names, .. } => {
                columns.retain(|(c, _)| !column_names.iter().any(|n| n.value == c.name()));
            }
            AlterTableOperation::RenameColumn {
                old_column_name,
                new_column_name,
            } => {
                for (column, _) in &mut columns {
                    if column.name() == old_column_name.value {
                        *column = Column::new(&new_column_name.value, column.ty().clone());
                    }
                }
            }
            AlterTableOperation::AlterColumn {
                column_name,
                op: AlterColumnOperation::SetDataType { data_type, .. },
            } => {
                for (column, _) in &mut columns {
                    if column.name() == column_name.value {
                        *column = self.column(&column_name.value, data_type);
                    }
                }
            }
            AlterTableOperation::RenameTable { table_name } => {
                let to = table_name.to_string();
                new_name = format!("h6.{}", to.trim_start_matches("TO "));
            }
            other => panic!("{other}"),
        }
        let mut table = self.empty(&new_name);
        for (column, _) in &columns {
            table = table.with(column.clone());
        }
        let table = table.primary_key(key.iter().map(String::as_str));
        let convert = |row: &Row| -> Row {
            columns
                .iter()
                .map(|(_, from)| from.and_then(|i| row.get(i)).map(Into::into))
                .collect()
        };
        self.source
            .alter(name, table.clone(), convert)
            .await
            .expect("it is altered");
        self.tables.insert(new_name, table);
    }

    fn write(&self, tx: &mut MemoryTransaction, text: &str) {
        if let Some((head, range)) = text.split_once(" from generate_series(") {
            return self.series(tx, head, range);
        }
        match parse(text) {
            Statement::Insert(insert) => {
                let name = insert.table.to_string();
                let table = &self.tables[&name];
                let source = insert.source.expect("values");
                let SetExpr::Values(values) = *source.body else {
                    panic!("{text}")
                };
                for row in values.rows {
                    let texts: Vec<Option<String>> = row
                        .iter()
                        .zip(table.columns())
                        .map(|(expr, column)| literal(expr).map(|t| canonical(column, t)))
                        .collect();
                    let names = table.columns().iter().map(Column::name);
                    tx.insert(&name, names.zip(texts.iter().map(Option::as_deref)))
                        .expect("a table's name");
                }
            }
            Statement::Update(update) => {
                let name = update.table.to_string();
                let table = &self.tables[&name];
                let set: Vec<(String, Option<String>)> = update
                    .assignments
                    .iter()
                    .map(|a| {
                        let AssignmentTarget::ColumnName(target) = &a.target else {
                            panic!("{text}")
                        };
                        let target = target.to_string();
                        let column = table.columns().iter().find(|c| c.name() == target);
                        let column = column.expect("a column");
                        let value = literal(&a.value).map(|t| canonical(column, t));
                        (target, value)
                    })
                    .collect();
                let clause = update.selection.expect("a clause").to_string();
                let set = set
                    .iter()
                    .map(|(name, text)| (name.as_str(), text.as_deref()));
                tx.update(&name, &clause, &[], set).expect("a table's name");
            }
            Statement::Delete(delete) => {
                let FromTable::WithFromKeyword(from) = delete.from else {
                    panic!("{text}")
                };
                let TableFactor::Table { name, .. } = &from[0].relation else {
                    panic!("{text}")
                };
                let clause = delete.selection.expect("a clause").to_string();
                tx.delete(&name.to_string(), &clause, &[])
                    .expect("a table's name");
            }
            Statement::Truncate(truncate) => {
                tx.truncate(&truncate.table_names[0].name.to_string())
                    .expect("a table's name");
            }
            other => panic!("{other}"),
        }
    }

    /// `insert into T select g, … from generate_series(a, b) g`.
    fn series(&self, tx: &mut MemoryTransaction, head: &str, range: &str) {
        let (name, items) = head
            .trim_start_matches("insert into ")
            .split_once(" select ")
            .expect("a table and a list");
        let (from, to) = range
            .trim_end_matches(") g")
            .split_once(',')
            .expect("two bounds");
        let (from, to): (i64, i64) = (from.parse().expect("a number"), to.parse().expect("one"));
        let names: Vec<String> = self.tables[name]
            .columns()
            .iter()
            .map(|c| c.name().to_owned())
            .collect();
        for g in from..=to {
            let values: Vec<String> = items
                .split(',')
                .map(|item| match item.trim() {
                    "g" => g.to_string(),
                    "g%5" => (g % 5).to_string(),
                    "'v'||g" => format!("v{g}"),
                    text => text.trim_matches('\'').to_owned(),
                })
                .collect();
            let row = names
                .iter()
                .map(String::as_str)
                .zip(values.iter().map(|v| Some(v.as_str())));
            tx.insert(name, row).expect("a table's name");
        }
    }
}

fn parse(text: &str) -> Statement {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, text)
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    statements.remove(0)
}

fn last(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

fn canonical(column: &Column, text: String) -> String {
    let base = column.ty().base_name();
    let found = OTHER_TYPES
        .iter()
        .find(|(ty, from, _)| *ty == base && *from == text);
    match found {
        Some((_, _, to)) => (*to).to_owned(),
        None => text,
    }
}

fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Null => None,
            Value::Boolean(b) => Some(b.to_string()),
            Value::Number(digits, _) => Some(digits.clone()),
            Value::SingleQuotedString(s) | Value::EscapedStringLiteral(s) => Some(s.clone()),
            other => panic!("{other}"),
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => Some(format!("-{}", literal(expr)?)),
        Expr::Cast { expr, .. } => literal(expr),
        Expr::Array(array) => {
            let items: Vec<String> = array
                .elem
                .iter()
                .map(|item| match literal(item) {
                    None => "NULL".to_owned(),
                    // jsonb puts a blank behind a colon.
                    Some(text) => {
                        let text = if text == r#"{"x":1}"# {
                            r#"{"x": 1}"#.into()
                        } else {
                            text
                        };
                        quoted(&text)
                    }
                })
                .collect();
            Some(format!("{{{}}}", items.join(",")))
        }
        Expr::Function(_) => match expr.to_string().as_str() {
            "repeat('abc', 3000)" => Some("abc".repeat(3000)),
            "repeat(md5('x'), 400)" => Some("9dd4e461268c8034f5c8564e155c67a6".repeat(400)),
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
