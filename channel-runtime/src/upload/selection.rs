//! What a client says of its files, and what of it is not believed.

use serde::Deserialize;
use serde_json::Value;

use crate::protocol::Refusal;

/// `allow_upload` and `upload_validate`.
#[derive(Deserialize)]
pub(super) struct Selection {
    #[serde(rename = "ref")]
    pub(super) upload_ref: String,
    pub(super) entries: Vec<Selected>,
}

/// One file.
#[derive(Debug, Deserialize)]
pub(crate) struct Selected {
    #[serde(rename = "ref")]
    pub(super) entry_ref: String,
    pub(super) name: String,
    #[serde(deserialize_with = "size")]
    pub(super) size: u64,
    #[serde(rename = "type")]
    pub(super) content_type: String,
    #[serde(default)]
    pub(super) relative_path: Option<String>,
    #[serde(default, deserialize_with = "whole")]
    pub(super) last_modified: Option<u64>,
    #[serde(default)]
    pub(super) meta: Value,
    /// The token of an upload that was broken off, to go on with.
    #[serde(default)]
    pub(super) resume: Option<String>,
}

/// `progress`.
#[derive(Deserialize)]
pub(super) struct Progress {
    #[serde(rename = "ref")]
    pub(super) upload_ref: String,
    pub(super) entry_ref: String,
    pub(super) progress: Value,
}

/// `upload_cancel`.
#[derive(Deserialize)]
pub(super) struct Cancel {
    #[serde(rename = "ref")]
    pub(super) upload_ref: String,
    #[serde(default)]
    pub(super) entry_ref: Option<String>,
    /// The token of a file that may be listed no more, and be kept for its client.
    #[serde(default)]
    pub(super) token: Option<String>,
}

/// What is kept of an entry, and sent back to the page with every change, has to be small.
const LIMITS: [(&str, usize); 6] = [
    ("ref", 64),
    ("name", 1024),
    ("type", 255),
    ("relative_path", 4096),
    ("meta", 4096),
    ("resume", 1024),
];

impl Selected {
    /// The first file of a page, and what every client says of one.
    #[cfg(any(test, feature = "test"))]
    pub(super) fn new(name: &str, size: u64, content_type: &str) -> Self {
        Selected {
            entry_ref: "0".to_owned(),
            name: name.to_owned(),
            size,
            content_type: content_type.to_owned(),
            relative_path: None,
            last_modified: None,
            meta: Value::Null,
            resume: None,
        }
    }

    /// Refuses what is too long to be kept.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let meta = match &self.meta {
            Value::Null => 0,
            meta => meta.to_string().len(),
        };
        let lengths = [
            self.entry_ref.len(),
            self.name.len(),
            self.content_type.len(),
            self.relative_path.as_ref().map_or(0, String::len),
            meta,
            self.resume.as_ref().map_or(0, String::len),
        ];
        let mut pairs = LIMITS.iter().zip(lengths);
        match pairs.find(|((_, limit), len)| len > limit) {
            Some(((field, limit), _)) => Err(Refusal::new("entry too long")
                .with(
                    "entry_ref",
                    self.entry_ref.chars().take(64).collect::<String>(),
                )
                .with("field", *field)
                .with("limit", *limit)),
            None => Ok(()),
        }
    }
}

/// A size that is no whole number is larger than any limit.
fn size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(Value::deserialize(deserializer)?
        .as_u64()
        .unwrap_or(u64::MAX))
}

fn whole<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_u64())
}
