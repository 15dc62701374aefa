//! Tables, their columns, rows, and the keys of rows.

use crate::value::Type;
use serde_json::{Map, Value as Json, json};
use smol_str::SmolStr;
use std::fmt;
use std::sync::Arc;

/// The name of a table: its schema and its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationName {
    /// The schema, `public` when none is said.
    pub schema: SmolStr,
    /// The table.
    pub name: SmolStr,
}

impl RelationName {
    /// Reads `table`, `schema.table` and `"Schema"."Table"`, by SQL's rules of quoting: unquoted
    /// names become lower case.
    ///
    /// # Errors
    ///
    /// There are more than two parts, one is empty, or one has characters that need quotes. The
    /// text is the one that Electric answers.
    ///
    /// ```
    /// use channel_sync::RelationName;
    /// let name = RelationName::parse(r#"App."Todo""#)?;
    /// assert_eq!((&*name.schema, &*name.name), ("app", "Todo"));
    /// # Ok::<(), String>(())
    /// ```
    pub fn parse(text: &str) -> Result<RelationName, String> {
        let parts = split_quoted(text, '.');
        match parts[..] {
            [name] => Ok(RelationName {
                schema: "public".into(),
                name: parse_identifier(name)?,
            }),
            [schema, name] => Ok(RelationName {
                schema: parse_identifier(schema)?,
                name: parse_identifier(name)?,
            }),
            _ => Err(format!(
                "Invalid relation identifier, too many delimiters: {text}"
            )),
        }
    }
}

impl fmt::Display for RelationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}",
            quote_identifier(&self.schema),
            quote_identifier(&self.name)
        )
    }
}

/// The parts between separators that are not within quotes.
pub(crate) fn split_quoted(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}

/// One identifier, quoted or not.
pub(crate) fn parse_identifier(text: &str) -> Result<SmolStr, String> {
    let text = text.trim();
    if text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
        let inner = &text[1..text.len() - 1];
        if inner.is_empty() {
            return Err("Invalid zero-length delimited identifier".into());
        }
        let name = inner.replace("\"\"", "\u{0}");
        if name.contains('"') {
            return Err(format!("Invalid identifier with unescaped quotes: {text}"));
        }
        return Ok(name.replace('\u{0}', "\"").into());
    }
    if text.is_empty() {
        return Err("Invalid zero-length identifier".into());
    }
    let start = |c: char| c.is_alphabetic() || c == '_';
    let rest = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    if !text.starts_with(start) || !text.chars().all(rest) {
        return Err(format!(
            "Invalid unquoted identifier contains special characters: {text}"
        ));
    }
    Ok(text.to_lowercase().into())
}

/// The identifier in double quotes, with those within it doubled.
pub(crate) fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The modifier in parentheses behind a type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Modifier {
    /// Nothing.
    #[default]
    None,
    /// `varchar(n)`.
    MaxLength(u32),
    /// `char(n)`, `bit(n)`, `varbit(n)`.
    Length(u32),
    /// `numeric(precision, scale)`.
    Numeric(u32, i32),
    /// `time(n)`, `timestamp(n)`, `interval(n)`.
    Precision(u32),
    /// `interval day to second`, in capitals.
    Fields(SmolStr),
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    name: SmolStr,
    ty: Type,
    modifier: Modifier,
    dims: u32,
    not_null: bool,
    generated: bool,
}

impl Column {
    /// A column that may be null. An array has one dimension until it is said otherwise.
    pub fn new(name: &str, ty: Type) -> Column {
        let dims = u32::from(ty.element().is_some());
        let modifier = Modifier::None;
        Column {
            name: name.into(),
            ty,
            modifier,
            dims,
            not_null: false,
            generated: false,
        }
    }

    /// With what stands in parentheses behind its type.
    #[must_use]
    pub fn modifier(mut self, modifier: Modifier) -> Column {
        self.modifier = modifier;
        self
    }

    /// Declared with this number of dimensions.
    #[must_use]
    pub fn dims(mut self, dims: u32) -> Column {
        self.dims = dims;
        self
    }

    /// Declared `NOT NULL`.
    #[must_use]
    pub fn not_null(mut self) -> Column {
        self.not_null = true;
        self
    }

    /// `GENERATED ALWAYS AS (…)`: not in the stream of changes, and so in no shape.
    #[must_use]
    pub fn generated(mut self) -> Column {
        self.generated = true;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    pub(crate) fn is_not_null(&self) -> bool {
        self.not_null
    }

    pub(crate) fn is_generated(&self) -> bool {
        self.generated
    }

    pub(crate) fn modified_by(&self) -> &Modifier {
        &self.modifier
    }

    /// The column's part of the schema header.
    fn schema(&self, pk_index: Option<usize>) -> Json {
        let mut schema = Map::new();
        schema.insert("type".into(), self.ty.base_name().into());
        if self.dims > 0 {
            schema.insert("dims".into(), self.dims.into());
        }
        if self.not_null {
            schema.insert("not_null".into(), true.into());
        }
        if let Some(index) = pk_index {
            schema.insert("pk_index".into(), index.into());
        }
        match &self.modifier {
            Modifier::None => {}
            Modifier::MaxLength(n) => {
                schema.insert("max_length".into(), json!(n));
            }
            Modifier::Length(n) => {
                schema.insert("length".into(), json!(n));
            }
            Modifier::Numeric(precision, scale) => {
                schema.insert("precision".into(), json!(precision));
                schema.insert("scale".into(), json!(scale));
            }
            Modifier::Precision(n) => {
                schema.insert("precision".into(), json!(n));
            }
            Modifier::Fields(fields) => {
                schema.insert("fields".into(), json!(fields.as_str()));
            }
        }
        Json::Object(schema)
    }
}

/// A table as it is at one time: another set of columns is another `Table`.
///
/// ```
/// use channel_sync::{Table, Type};
/// let todos = Table::new("public", "todos")
///     .column("id", Type::Int8)
///     .column("title", Type::Text)
///     .primary_key(["id"]);
/// assert_eq!(todos.name().to_string(), r#""public"."todos""#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    name: RelationName,
    columns: Vec<Column>,
    /// Places of the primary key's columns, in the key's order.
    key: Vec<usize>,
}

impl Table {
    /// A table without columns.
    pub fn new(schema: &str, name: &str) -> Table {
        let name = RelationName {
            schema: schema.into(),
            name: name.into(),
        };
        Table {
            name,
            columns: Vec::new(),
            key: Vec::new(),
        }
    }

    /// With another column, of this type.
    #[must_use]
    pub fn column(self, name: &str, ty: Type) -> Table {
        self.with(Column::new(name, ty))
    }

    /// With another column.
    #[must_use]
    pub fn with(mut self, column: Column) -> Table {
        self.columns.push(column);
        self
    }

    /// The columns of the primary key, in its order; they are not null. A table without one has
    /// rows whose key is all of their columns.
    ///
    /// # Panics
    ///
    /// A name is that of no column.
    #[must_use]
    pub fn primary_key<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Table {
        self.key = names
            .into_iter()
            .map(|name| match self.column_index(name) {
                Some(index) => index,
                None => panic!("{name} is no column of {}", self.name),
            })
            .collect();
        for index in &self.key {
            self.columns[*index].not_null = true;
        }
        self
    }

    /// The table's name.
    pub fn name(&self) -> &RelationName {
        &self.name
    }

    /// The columns in their order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The names of the primary key's columns.
    pub fn key_columns(&self) -> impl Iterator<Item = &str> {
        self.key.iter().map(|index| self.columns[*index].name())
    }

    pub(crate) fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The places that a row's key is made of.
    pub(crate) fn key_places(&self) -> impl Iterator<Item = usize> {
        let all = if self.key.is_empty() {
            0..self.columns.len()
        } else {
            0..0
        };
        self.key.iter().copied().chain(all)
    }

    /// The key of a row, the same in snapshot and stream:
    ///
    /// ```
    /// use channel_sync::{Row, Table, Type};
    /// let table = Table::new("public", "a.b").column("k", Type::Text);
    /// assert_eq!(table.row_key(&Row::from([Some("x/y")])), r#""public"."a.b"/"x//y""#);
    /// assert_eq!(table.row_key(&Row::from([None])), r#""public"."a.b"/_"#);
    /// ```
    pub fn row_key(&self, row: &Row) -> String {
        let mut key = self.name.to_string();
        for place in self.key_places() {
            key.push('/');
            match row.get(place) {
                None => key.push('_'),
                Some(value) => {
                    key.push('"');
                    key.push_str(&value.replace('/', "//"));
                    key.push('"');
                }
            }
        }
        key
    }

    /// The schema header: what the client parses values by.
    pub(crate) fn schema_header(&self, selected: &[usize]) -> String {
        let mut schema = Map::new();
        for index in selected {
            let column = &self.columns[*index];
            let pk_index = self.key.iter().position(|key| key == index);
            schema.insert(column.name.to_string(), column.schema(pk_index));
        }
        Json::Object(schema).to_string()
    }
}

/// A row: the text of each column in Postgres' output form, or null.
///
/// ```
/// use channel_sync::Row;
/// let row = Row::from([Some("1"), None]);
/// assert_eq!(row.get(0), Some("1"));
/// assert_eq!(row.get(1), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row(Arc<[Option<SmolStr>]>);

impl Row {
    /// The column's text; `None` is null.
    pub fn get(&self, column: usize) -> Option<&str> {
        self.0.get(column)?.as_deref()
    }

    /// The number of columns.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if there is no column.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<const N: usize> From<[Option<&str>; N]> for Row {
    fn from(values: [Option<&str>; N]) -> Row {
        values
            .into_iter()
            .map(|value| value.map(SmolStr::from))
            .collect()
    }
}

impl FromIterator<Option<SmolStr>> for Row {
    fn from_iter<I: IntoIterator<Item = Option<SmolStr>>>(values: I) -> Row {
        Row(values.into_iter().collect())
    }
}
