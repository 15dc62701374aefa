//! The types of columns, by the names that Postgres' catalogue gives them.

use smol_str::SmolStr;
use std::fmt;
use std::sync::Arc;

/// The type of a column or of an expression.
///
/// ```
/// use channel_sync::Type;
/// assert_eq!(Type::named("integer"), Type::Int4);
/// assert_eq!(Type::named("int4").to_string(), "int4");
/// assert_eq!(Type::named("text[]"), Type::array(Type::Text));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// `bool`.
    Bool,
    /// `int2`, also `smallint`.
    Int2,
    /// `int4`, also `int` and `integer`.
    Int4,
    /// `int8`, also `bigint`.
    Int8,
    /// `float4`, also `real`.
    Float4,
    /// `float8`, also `double precision`.
    Float8,
    /// `numeric`, also `decimal`. Compared exactly.
    Numeric,
    /// `text`.
    Text,
    /// `varchar`.
    Varchar,
    /// `bpchar`, which is `char(n)`: blanks at its end do not count when it is compared.
    Bpchar,
    /// `name`.
    Name,
    /// `uuid`.
    Uuid,
    /// `date`.
    Date,
    /// `time` without a zone.
    Time,
    /// `timestamp` without a zone.
    Timestamp,
    /// `timestamptz`. All text is in UTC.
    Timestamptz,
    /// `interval`. All text is ISO 8601.
    Interval,
    /// An enum type, with its labels.
    Enum(Arc<EnumType>),
    /// An array of any number of dimensions.
    Array(Arc<Type>),
    /// Any other type, by its name. Its values are streamed; predicates ask only whether they are
    /// null.
    Other(SmolStr),
}

/// The name and the labels of an enum type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EnumType {
    /// The schema, where the type is a database's.
    pub schema: Option<SmolStr>,
    /// The type's name, without its schema.
    pub name: SmolStr,
    /// The labels in their order.
    pub labels: Vec<SmolStr>,
}

impl Type {
    /// The type of this name, as the catalogue or as SQL says it; `[]` behind it makes an array.
    /// A name that is not one of the variants' becomes [`Type::Other`].
    pub fn named(name: &str) -> Type {
        if let Some(element) = name.strip_suffix("[]") {
            return Type::array(Type::named(element));
        }
        match name {
            "bool" | "boolean" => Type::Bool,
            "int2" | "smallint" => Type::Int2,
            "int4" | "int" | "integer" => Type::Int4,
            "int8" | "bigint" => Type::Int8,
            "float4" | "real" => Type::Float4,
            "float8" | "double precision" | "float" => Type::Float8,
            "numeric" | "decimal" => Type::Numeric,
            "text" => Type::Text,
            "varchar" | "character varying" => Type::Varchar,
            "bpchar" | "char" | "character" => Type::Bpchar,
            "name" => Type::Name,
            "uuid" => Type::Uuid,
            "date" => Type::Date,
            "time" | "time without time zone" => Type::Time,
            "timestamp" | "timestamp without time zone" => Type::Timestamp,
            "timestamptz" | "timestamp with time zone" => Type::Timestamptz,
            "interval" => Type::Interval,
            other => Type::Other(other.into()),
        }
    }

    /// An array of this type. An array of arrays is the same array with more dimensions.
    pub fn array(element: Type) -> Type {
        match element {
            Type::Array(_) => element,
            element => Type::Array(Arc::new(element)),
        }
    }

    /// An enum type of these labels.
    pub fn enumeration<'a>(name: &str, labels: impl IntoIterator<Item = &'a str>) -> Type {
        let labels = labels.into_iter().map(SmolStr::from).collect();
        Type::Enum(Arc::new(EnumType {
            schema: None,
            name: name.into(),
            labels,
        }))
    }

    /// The element's type of an array.
    pub fn element(&self) -> Option<&Type> {
        match self {
            Type::Array(element) => Some(element),
            _ => None,
        }
    }

    /// The name without `[]`: the `type` of the schema header.
    pub fn base_name(&self) -> &str {
        match self {
            Type::Bool => "bool",
            Type::Int2 => "int2",
            Type::Int4 => "int4",
            Type::Int8 => "int8",
            Type::Float4 => "float4",
            Type::Float8 => "float8",
            Type::Numeric => "numeric",
            Type::Text => "text",
            Type::Varchar => "varchar",
            Type::Bpchar => "bpchar",
            Type::Name => "name",
            Type::Uuid => "uuid",
            Type::Date => "date",
            Type::Time => "time",
            Type::Timestamp => "timestamp",
            Type::Timestamptz => "timestamptz",
            Type::Interval => "interval",
            Type::Enum(e) => &e.name,
            Type::Array(element) => element.base_name(),
            Type::Other(name) => name,
        }
    }

    pub(crate) fn is_integer(&self) -> bool {
        matches!(self, Type::Int2 | Type::Int4 | Type::Int8)
    }

    pub(crate) fn is_number(&self) -> bool {
        self.is_integer() || matches!(self, Type::Float4 | Type::Float8 | Type::Numeric)
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Type::Text | Type::Varchar | Type::Bpchar | Type::Name)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base_name())?;
        if let Type::Array(_) = self {
            f.write_str("[]")
        } else {
            Ok(())
        }
    }
}
