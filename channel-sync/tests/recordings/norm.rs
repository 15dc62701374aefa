//! The same names for what differs between two runs: handles, positions and transactions, each in
//! the order in which they appear or grow.

use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// An answer, as it came.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// Events and comments, and whether the server closed.
    pub(crate) events: Option<(Vec<Json>, bool)>,
    pub(crate) millis: u64,
}

impl Answer {
    fn json(&self) -> Option<Json> {
        if self.body.is_empty() {
            Some(Json::Null)
        } else {
            serde_json::from_str(&self.body).ok()
        }
    }
}

#[derive(Default)]
pub(crate) struct Names {
    handles: Vec<String>,
    lsns: BTreeSet<u64>,
    xids: BTreeSet<u64>,
}

const IGNORED: &[&str] = &["content-length", "transfer-encoding"];

impl Names {
    /// A handle is named where the recorded answer has one, too; one that is missing here keeps its
    /// place.
    pub(crate) fn of(answers: &[(&Answer, Option<&str>)]) -> Names {
        let mut names = Names::default();
        for (answer, recorded) in answers {
            if let Some(offset) = answer.headers.get("electric-offset")
                && let Some((tx, _)) = offset.split_once('_')
                && tx != "0"
            {
                names.lsns.insert(tx.parse().expect("a number"));
            }
            if let Some(recorded) = recorded
                && !answer.headers.contains_key("electric-handle")
                && *recorded == format!("H{}", names.handles.len() + 1)
            {
                names.handles.push(String::new());
            }
            if recorded.is_some()
                && let Some(handle) = answer.headers.get("electric-handle")
                && !names.handles.contains(handle)
            {
                names.handles.push(handle.clone());
            }
            if let Some(body) = answer.json() {
                names.walk(&body);
            }
            for event in answer.events.iter().flat_map(|(events, _)| events) {
                names.walk(event);
            }
        }
        names
    }

    fn walk(&mut self, json: &Json) {
        match json {
            Json::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value) {
                        ("lsn", Json::String(lsn)) => {
                            self.lsns.insert(lsn.parse().expect("a number"));
                        }
                        ("txids", Json::Array(xids)) => {
                            self.xids.extend(xids.iter().filter_map(Json::as_u64));
                        }
                        _ => self.walk(value),
                    }
                }
            }
            Json::Array(items) => items.iter().for_each(|item| self.walk(item)),
            _ => {}
        }
    }

    fn rank(set: &BTreeSet<u64>, value: u64, letter: char) -> String {
        match set.iter().position(|v| *v == value) {
            Some(at) => format!("{letter}{}", at + 1),
            None => format!("{letter}?"),
        }
    }

    fn offset(&self, text: &str) -> String {
        match text.split_once('_') {
            Some((tx, op)) if tx != "0" => match tx.parse() {
                Ok(tx) => format!("{}_{op}", Names::rank(&self.lsns, tx, 'L')),
                Err(_) => text.into(),
            },
            _ => text.into(),
        }
    }

    fn handle(&self, text: &str) -> String {
        match self.handles.iter().position(|h| h == text) {
            Some(at) => format!("H{}", at + 1),
            None => text.into(),
        }
    }

    fn header(&self, name: &str, value: &str) -> Json {
        match name {
            "electric-handle" => self.handle(value).into(),
            "electric-offset" => self.offset(value).into(),
            "electric-cursor" if value.parse::<u64>().is_ok() => "<cursor>".into(),
            "electric-snapshot" => "<snapshot>".into(),
            "electric-schema" => serde_json::from_str(value).expect("the schema is JSON"),
            "etag" => {
                let parts: Vec<&str> = value.trim_matches('"').split(':').collect();
                let mut named: Vec<String> = vec![self.handle(parts[0])];
                // An offset that the client made up is only in its own URL.
                named.extend(
                    parts[1..]
                        .iter()
                        .take(2)
                        .map(|part| match self.offset(part) {
                            offset if offset.starts_with("L?") => (*part).to_owned(),
                            offset => offset,
                        }),
                );
                named.extend(parts[1..].iter().skip(2).map(|_| "<uniq>".to_owned()));
                format!("\"{}\"", named.join(":")).into()
            }
            _ => value.into(),
        }
    }

    fn value(&self, json: &Json, name: &str) -> Json {
        match (name, json) {
            ("txids", Json::Array(xids)) => {
                let xids = xids
                    .iter()
                    .map(|x| Names::rank(&self.xids, x.as_u64().unwrap_or(0), 'X'));
                xids.collect()
            }
            ("xip_list", Json::Array(_)) => "<xids>".into(),
            ("lsn", Json::String(lsn)) => match lsn.parse() {
                Ok(lsn) => Names::rank(&self.lsns, lsn, 'L').into(),
                Err(_) => json.clone(),
            },
            ("xmin" | "xmax" | "global_last_seen_lsn" | "database_lsn" | "snapshot_mark", _)
                if !json.is_null() =>
            {
                let ty = if json.is_string() { "str" } else { "int" };
                format!("<{name}:{ty}>").into()
            }
            (_, Json::Object(fields)) => {
                let fields = fields.iter().map(|(n, v)| (n.clone(), self.value(v, n)));
                Json::Object(fields.collect::<Map<_, _>>())
            }
            (_, Json::Array(items)) => items.iter().map(|item| self.value(item, "")).collect(),
            _ => json.clone(),
        }
    }

    /// The answer in the recordings' form.
    pub(crate) fn normalised(&self, answer: &Answer) -> Json {
        let mut out = Map::new();
        out.insert("status".into(), answer.status.into());
        let headers = answer
            .headers
            .iter()
            .filter(|(name, _)| !IGNORED.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), self.header(name, value)));
        out.insert("headers".into(), Json::Object(headers.collect()));
        match (&answer.events, answer.json()) {
            (Some((events, closed)), _) => {
                let end = if *closed { "closed" } else { "limit" };
                out.insert("sse_end".into(), end.into());
                out.insert(
                    "sse".into(),
                    events.iter().map(|e| self.value(e, "")).collect(),
                );
            }
            (None, Some(body)) => {
                out.insert("body".into(), self.value(&body, ""));
            }
            (None, None) => {
                out.insert("body_text".into(), answer.body.clone().into());
            }
        }
        Json::Object(out)
    }
}

/// The recording in the form that is compared: booleans as the client reads them, and headers whose
/// text is this server's own left out.
pub(crate) fn comparable(json: &Json, booleans: &BTreeSet<String>) -> Json {
    let mut json = json.clone();
    if let Some(headers) = json["headers"].as_object_mut() {
        headers.remove("access-control-expose-headers");
        // Compression is left to a layer around the router.
        headers.remove("content-encoding");
        if let Some(kind) = headers.get("content-type").and_then(Json::as_str) {
            let kind = kind.split(';').next().unwrap_or("").to_owned();
            headers.insert("content-type".into(), kind.into());
        }
    }
    for part in ["body", "sse"] {
        let messages = json[part].as_array_mut();
        for message in messages.into_iter().flatten() {
            for side in ["value", "old_value"] {
                let values = message.get_mut(side).and_then(Json::as_object_mut);
                let Some(values) = values else { continue };
                for (name, value) in values {
                    if booleans.contains(name) {
                        match value.as_str() {
                            Some("t") => *value = json!("true"),
                            Some("f") => *value = json!("false"),
                            _ => {}
                        }
                    }
                }
            }
        }
    }
    if let Some(fields) = json.as_object_mut() {
        for part in ["body", "sse"] {
            if fields.get(part).is_some_and(Json::is_null) {
                fields.remove(part);
            }
        }
    }
    json
}
