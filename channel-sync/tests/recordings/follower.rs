//! A client that keeps a shape's rows, as the published ones do.

use super::exchange;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{sleep, timeout};

pub(crate) struct Follower {
    router: Router,
    shape: String,
    /// Values by key.
    pub(crate) rows: BTreeMap<String, Map<String, Json>>,
    pub(crate) handle: String,
    offset: String,
    up_to_date: bool,
    /// How often it began again.
    pub(crate) rotations: u32,
    /// The status of the last answer.
    pub(crate) status: u16,
    /// All transactions that were told.
    pub(crate) txids: Vec<u64>,
}

/// Far beyond what a machine that stands still for a while takes.
pub(crate) const GUARD: Duration = Duration::from_secs(120);

impl Follower {
    /// `shape` as in a URL: `table=t&where=…`.
    pub(crate) fn new(router: &Router, shape: &str) -> Follower {
        Follower {
            router: router.clone(),
            shape: shape.into(),
            rows: BTreeMap::new(),
            handle: String::new(),
            offset: "-1".into(),
            up_to_date: false,
            rotations: 0,
            status: 0,
            txids: Vec::new(),
        }
    }

    /// One request.
    pub(crate) async fn step(&mut self) {
        let live = if self.up_to_date { "&live=true" } else { "" };
        let uri = format!(
            "/v1/shape?{}&offset={}&handle={}{live}",
            self.shape, self.offset, self.handle
        );
        let request = Request::get(uri).body(Body::empty()).expect("a request");
        let answer = exchange(self.router.clone(), request, None).await;
        self.status = answer.status;
        match answer.status {
            200 => {}
            409 => {
                self.rows.clear();
                self.offset = "-1".into();
                self.up_to_date = false;
                self.rotations += 1;
                return;
            }
            // As clients do, which are asked to come again.
            503 => return sleep(Duration::from_millis(20)).await,
            _ => return,
        }
        self.handle = answer.headers["electric-handle"].clone();
        self.offset = answer.headers["electric-offset"].clone();
        self.up_to_date = answer.headers.contains_key("electric-up-to-date");
        let messages: Vec<Json> = match &*answer.body {
            "" => Vec::new(),
            body => serde_json::from_str(body).expect("a list of messages"),
        };
        for message in &messages {
            self.message(message);
        }
    }

    fn message(&mut self, message: &Json) {
        let key = message["key"].as_str().unwrap_or("").to_owned();
        let value = message["value"].as_object().cloned().unwrap_or_default();
        let txids = message["headers"]["txids"].as_array().into_iter().flatten();
        self.txids.extend(txids.filter_map(Json::as_u64));
        match message["headers"]["operation"].as_str() {
            Some("insert") => {
                let old = self.rows.insert(key.clone(), value);
                assert_eq!(old, None, "{key} comes twice");
            }
            Some("update") => {
                let row = self.rows.get_mut(&key);
                let row = row.unwrap_or_else(|| panic!("{key} is updated and not there"));
                row.extend(value);
            }
            Some("delete") => {
                let old = self.rows.remove(&key);
                assert!(old.is_some(), "{key} is deleted and not there");
            }
            _ => {}
        }
    }

    /// Makes requests until it is as it should be.
    pub(crate) async fn until(&mut self, is: impl Fn(&Follower) -> bool) {
        let until = async {
            while !is(self) {
                self.step().await;
            }
        };
        if timeout(GUARD, until).await.is_err() {
            panic!(
                "{} is not as it should be: {} {:?}",
                self.shape, self.status, self.rows
            );
        }
    }

    pub(crate) async fn current(&mut self) {
        self.until(|f| f.up_to_date).await;
    }

    /// A column of all rows, sorted.
    pub(crate) fn column(&self, name: &str) -> Vec<String> {
        let values = self.rows.values().map(|row| match &row[name] {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        });
        let mut values: Vec<String> = values.collect();
        values.sort();
        values
    }
}
