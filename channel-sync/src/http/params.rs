//! The parameters of a request, each mistake by its field.

use crate::offset::Offset;
use crate::predicate::{Order, Predicate};
use crate::shape::{Definition, LogMode, Replica};
use crate::source::{Source, SourceError};
use crate::table::{RelationName, Table, parse_identifier, split_quoted};
use serde_json::{Map, Value as Json, json};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a request begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// `-1`: with the snapshot.
    Beginning,
    /// `now`: at the log's end.
    Now,
    After(Offset),
}

impl std::fmt::Display for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Start::Beginning => f.write_str("-1"),
            Start::Now => f.write_str("now"),
            Start::After(offset) => offset.fmt(f),
        }
    }
}

/// Mistakes, by field.
#[derive(Debug, Default)]
pub(super) struct Errors {
    fields: Map<String, Json>,
    subset: Map<String, Json>,
}

impl Errors {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.fields
            .entry(field)
            .or_insert_with(|| json!([message.into()]));
    }

    fn subset(&mut self, field: &str, message: impl Into<String>) {
        self.subset
            .entry(field)
            .or_insert_with(|| json!([message.into()]));
    }

    fn result(self) -> Result<(), Invalid> {
        if self.fields.is_empty() && self.subset.is_empty() {
            Ok(())
        } else {
            Err(self.into())
        }
    }

    pub(super) fn one(field: &str, message: impl Into<String>) -> Invalid {
        let mut errors = Errors::default();
        errors.add(field, message);
        errors.into()
    }
}

impl From<Errors> for Invalid {
    fn from(mut errors: Errors) -> Invalid {
        if !errors.subset.is_empty() {
            errors
                .fields
                .insert("subset".into(), Json::Object(errors.subset));
        }
        Invalid::Fields(Json::Object(errors.fields))
    }
}

/// A request that is refused.
#[derive(Debug)]
pub(super) enum Invalid {
    Fields(Json),
    Source(SourceError),
}

impl From<SourceError> for Invalid {
    fn from(error: SourceError) -> Invalid {
        Invalid::Source(error)
    }
}

/// The query's parameters; of one that comes twice the last counts.
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    pub(super) fn parse(query: &str) -> Params {
        Params(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(super) fn handle(&self) -> Option<&str> {
        self.given("handle")
    }

    /// A subset's fields, as a POST's body has them.
    pub(super) fn subset(&self) -> Map<String, Json> {
        let mut body = Map::new();
        for (name, value) in &self.0 {
            if let Some(name) = name.strip_prefix("subset__") {
                body.insert(name.to_owned(), Json::from(value.as_str()));
            }
        }
        body
    }

    pub(super) fn has_table(&self) -> bool {
        self.given("table").is_some()
    }
}

/// The parameters of a request, besides the shape's definition.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) start: Start,
    pub(super) handle: Option<SmolStr>,
    pub(super) live: bool,
    pub(super) sse: bool,
    pub(super) cursor: Option<u64>,
}

/// A part of the table's rows that is asked for beside the log.
#[derive(Debug)]
pub(super) struct Subset {
    pub(super) predicate: Option<Predicate>,
    pub(super) order: Option<Order>,
    pub(super) limit: Option<u64>,
    pub(super) offset: u64,
}

/// Reads a request. `body` has a subset's fields, from the query or from a POST.
pub(super) async fn read(
    params: &Params,
    body: &Map<String, Json>,
    source: &Arc<dyn Source>,
) -> Result<(Request, Definition, Option<Subset>), Invalid> {
    let mut errors = Errors::default();
    let request = read_request(params, &mut errors);
    let raw = read_definition(params, &mut errors);
    let subset = read_subset(body, &mut errors);
    errors.result()?;
    // Both are there when there are no errors.
    let (Some(request), Some(raw)) = (request, raw) else {
        return Err(Errors::one("table", "can't be blank"));
    };
    let definition = define(raw, source).await?;
    let subset = match subset {
        Some(raw) => Some(raw.resolve(&definition.relation.table)?),
        None => None,
    };
    Ok((request, definition, subset))
}

/// The definition alone, as DELETE has it.
pub(super) async fn read_shape(
    params: &Params,
    source: &Arc<dyn Source>,
) -> Result<Definition, Invalid> {
    let mut errors = Errors::default();
    let raw = read_definition(params, &mut errors);
    errors.result()?;
    match raw {
        Some(raw) => define(raw, source).await,
        None => Err(Errors::one("table", "can't be blank")),
    }
}

fn read_request(params: &Params, errors: &mut Errors) -> Option<Request> {
    let truth = |name: &str| params.get(name).is_some_and(|value| value != "false");
    let live = truth("live");
    let sse = truth("live_sse") || truth("experimental_live_sse");
    let start = match params.given("offset") {
        None => {
            errors.add("offset", "can't be blank");
            None
        }
        Some("-1") => Some(Start::Beginning),
        Some("now") => Some(Start::Now),
        Some(text) => {
            let offset = Offset::parse(text);
            if offset.is_none() {
                errors.add("offset", "has invalid format");
            }
            offset.map(Start::After)
        }
    };
    let handle = params.handle().map(SmolStr::from);
    match start {
        Some(Start::Beginning) if live => errors.add("live", "can't be true when offset == -1"),
        Some(Start::Now) if live => errors.add("live", "can't be true when offset is 'now'"),
        Some(Start::After(_)) if handle.is_none() => {
            errors.add("handle", "can't be blank when offset != -1");
        }
        _ => {}
    }
    if sse && !live {
        errors.add("live_sse", "can't be true unless live is also true");
    }
    let cursor = params.get("cursor").and_then(|text| text.parse().ok());
    Some(Request {
        start: start?,
        handle,
        live,
        sse,
        cursor,
    })
}

struct RawDefinition<'a> {
    name: RelationName,
    clause: Option<&'a str>,
    params: Vec<SmolStr>,
    columns: Option<Vec<SmolStr>>,
    replica: Replica,
    log: LogMode,
}

fn read_definition<'a>(params: &'a Params, errors: &mut Errors) -> Option<RawDefinition<'a>> {
    let name = match params.given("table") {
        None => {
            errors.add("table", "can't be blank");
            None
        }
        Some(text) => match RelationName::parse(text) {
            Ok(name) => Some(name),
            Err(message) => {
                errors.add("table", message);
                None
            }
        },
    };
    let replica = match params.given("replica") {
        None | Some("default") => Replica::Default,
        Some("full") => Replica::Full,
        Some(_) => {
            errors.add("replica", "is invalid");
            Replica::Default
        }
    };
    let log = match params.given("log") {
        None | Some("full") => LogMode::Full,
        Some("changes_only") => LogMode::ChangesOnly,
        Some(_) => {
            errors.add("log", "is invalid");
            LogMode::Full
        }
    };
    let columns = params.given("columns").and_then(|text| {
        let names: Result<Vec<_>, _> = split_quoted(text, ',')
            .into_iter()
            .map(parse_identifier)
            .collect();
        names.map_err(|message| errors.add("columns", message)).ok()
    });
    let values = clause_params(params, errors);
    let clause = params.given("where");
    Some(RawDefinition {
        name: name?,
        clause,
        params: values,
        columns,
        replica,
        log,
    })
}

/// `params[1]`, `params[2]` …
fn clause_params(params: &Params, errors: &mut Errors) -> Vec<SmolStr> {
    if params.get("params").is_some() {
        errors.add("params", "is invalid");
        return Vec::new();
    }
    let mut numbered = BTreeMap::new();
    for (name, value) in &params.0 {
        let inner = name
            .strip_prefix("params[")
            .and_then(|rest| rest.strip_suffix(']'));
        match inner.map(str::parse::<u32>) {
            None => {}
            Some(Ok(number)) => {
                numbered.insert(number, SmolStr::from(value.as_str()));
            }
            Some(Err(_)) => errors.add("params", "Parameters can only use numbers as keys"),
        }
    }
    sequential(numbered).unwrap_or_else(|message| {
        errors.add("params", message);
        Vec::new()
    })
}

fn sequential(numbered: BTreeMap<u32, SmolStr>) -> Result<Vec<SmolStr>, &'static str> {
    if numbered
        .keys()
        .zip(1..)
        .all(|(number, expected)| *number == expected)
    {
        Ok(numbered.into_values().collect())
    } else {
        Err("Parameters must be numbered sequentially, starting from 1")
    }
}

async fn define(raw: RawDefinition<'_>, source: &Arc<dyn Source>) -> Result<Definition, Invalid> {
    let Some(relation) = source.relation(&raw.name).await? else {
        return Err(Errors::one(
            "table",
            format!(
                "Table {} does not exist. If the table name contains capitals or special \
                 characters you must quote it.",
                raw.name
            ),
        ));
    };
    let table = &relation.table;
    let selected = select(table, raw.columns.as_deref()).map_err(|e| Errors::one("columns", e))?;
    let predicate = match raw.clause {
        None => None,
        Some(text) => {
            let parsed = Predicate::parse(text, table, &raw.params);
            Some(Arc::new(
                parsed.map_err(|e| Errors::one("where", e.to_string()))?,
            ))
        }
    };
    let named = raw.columns.is_some();
    Ok(Definition {
        relation,
        predicate,
        selected,
        named,
        replica: raw.replica,
        log: raw.log,
    })
}

fn select(table: &Table, names: Option<&[SmolStr]>) -> Result<Vec<usize>, String> {
    let mut selected: Vec<usize> = match names {
        None => (0..table.columns().len()).collect(),
        Some(names) => {
            let found = names.iter().map(|name| table.column_index(name));
            let unknown: Vec<&str> = names
                .iter()
                .filter(|name| table.column_index(name).is_none())
                .map(SmolStr::as_str)
                .collect();
            if !unknown.is_empty() {
                let unknown = unknown.join(", ");
                return Err(format!(
                    "The following columns are not found on the table: {unknown}"
                ));
            }
            found.flatten().collect()
        }
    };
    selected.sort_unstable();
    selected.dedup();
    let names = |list: &[usize]| {
        let names: Vec<&str> = list
            .iter()
            .map(|index| table.columns()[*index].name())
            .collect();
        names.join(", ")
    };
    let missing: Vec<usize> = table
        .key_columns()
        .filter_map(|name| table.column_index(name))
        .filter(|index| !selected.contains(index))
        .collect();
    if !missing.is_empty() {
        return Err(format!(
            "The list of columns must include all primary key columns, missing: {}",
            names(&missing)
        ));
    }
    let generated: Vec<usize> = selected
        .iter()
        .copied()
        .filter(|index| table.columns()[*index].is_generated())
        .collect();
    if !generated.is_empty() {
        return Err(format!(
            "The following columns are generated and cannot be included in the shape: {}. You can \
             exclude them from the shape by explicitly listing which columns to fetch in the \
             'columns' query param",
            names(&generated)
        ));
    }
    Ok(selected)
}

struct RawSubset {
    clause: Option<String>,
    params: Vec<SmolStr>,
    order: Option<String>,
    limit: Option<u64>,
    offset: u64,
}

fn read_subset(body: &Map<String, Json>, errors: &mut Errors) -> Option<RawSubset> {
    let text = |name: &str| match body.get(name) {
        Some(Json::String(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let fields = ["where", "params", "order_by", "limit", "offset"];
    if !fields
        .iter()
        .any(|name| body.get(*name).is_some_and(|value| !value.is_null()))
    {
        return None;
    }
    let number = |name: &str, least: i64, errors: &mut Errors| {
        let number = match body.get(name) {
            None | Some(Json::Null) => return None,
            Some(Json::Number(number)) => number.as_i64(),
            Some(Json::String(text)) if text.is_empty() => return None,
            Some(Json::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        match number {
            None => errors.subset(name, "is invalid"),
            Some(n) if n < least && least > 0 => errors.subset(name, "must be greater than 0"),
            Some(n) if n < least => errors.subset(name, "must be greater than or equal to 0"),
            Some(n) => return u64::try_from(n).ok(),
        }
        None
    };
    let limit = number("limit", 1, errors);
    let offset = number("offset", 0, errors);
    let order = text("order_by");
    if (limit.is_some() || offset.is_some()) && order.is_none() {
        errors.subset(
            "order_by",
            "order_by is required when limit or offset is present",
        );
    }
    let params = match body.get("params") {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::String(text)) => match serde_json::from_str(text) {
            Ok(value) => json_params(&value),
            Err(_) => Err("params must be valid JSON"),
        },
        Some(value) => json_params(value),
    };
    let params = params.unwrap_or_else(|message| {
        errors.subset("params", message);
        Vec::new()
    });
    Some(RawSubset {
        clause: text("where"),
        params,
        order,
        limit,
        offset: offset.unwrap_or(0),
    })
}

/// `{"1": "a"}` or `["a"]`: strings, numbers and booleans.
fn json_params(value: &Json) -> Result<Vec<SmolStr>, &'static str> {
    let text = |value: &Json| match value {
        Json::String(text) => Ok(SmolStr::from(text.as_str())),
        Json::Number(_) | Json::Bool(_) => Ok(SmolStr::from(value.to_string())),
        _ => Err("params must be strings, numbers or booleans"),
    };
    match value {
        Json::Array(items) => items.iter().map(text).collect(),
        Json::Object(fields) => {
            let mut numbered = BTreeMap::new();
            for (name, value) in fields {
                let number = name
                    .parse()
                    .map_err(|_| "Parameters can only use numbers as keys")?;
                numbered.insert(number, text(value)?);
            }
            sequential(numbered)
        }
        _ => Err("params must be an object or an array"),
    }
}

impl RawSubset {
    fn resolve(self, table: &Table) -> Result<Subset, Invalid> {
        let mut errors = Errors::default();
        let predicate = self.clause.and_then(|text| {
            let parsed = Predicate::parse(&text, table, &self.params);
            parsed
                .map_err(|e| errors.subset("where", e.to_string()))
                .ok()
        });
        let order = self.order.and_then(|text| {
            let parsed = Order::parse(&text, table);
            parsed
                .map_err(|e| errors.subset("order_by", e.to_string()))
                .ok()
        });
        errors.result()?;
        Ok(Subset {
            predicate,
            order,
            limit: self.limit,
            offset: self.offset,
        })
    }
}
