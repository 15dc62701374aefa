//! A client's description of its files, and its checks.

use std::{borrow::Cow, fmt, sync::OnceLock};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{UploadSpec, entries::SPARE};
use crate::protocol::Refusal;

/// The payload of `allow_upload` and `upload_validate`, borrowed from the client's text: nothing is
/// copied or decoded before its length is known.
#[derive(Deserialize)]
pub(super) struct Selection<'a> {
    #[serde(rename = "ref", borrow)]
    pub(super) upload_ref: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "first")]
    pub(super) entries: Vec<Said<'a>>,
}

/// A client's description of one file.
#[derive(Deserialize)]
pub(super) struct Said<'a> {
    #[serde(rename = "ref", borrow)]
    entry_ref: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(deserialize_with = "size")]
    size: u64,
    #[serde(rename = "type", borrow)]
    content_type: Cow<'a, str>,
    #[serde(borrow, default)]
    relative_path: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole")]
    last_modified: Option<u64>,
    #[serde(borrow, default)]
    meta: Option<&'a RawValue>,
    /// The token of a broken upload, to resume it.
    #[serde(borrow, default)]
    resume: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// One file.
#[derive(Debug)]
pub(crate) struct ClientEntry {
    pub(super) entry_ref: String,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) content_type: String,
    pub(super) relative_path: Option<String>,
    pub(super) last_modified: Option<u64>,
    meta: Option<Box<RawValue>>,
    /// The decoded metadata, made when a handler first asks for it: decoded, it is many times as
    /// large.
    decoded: OnceLock<Value>,
    pub(super) resume: Option<String>,
}

/// The payload of `progress`.
#[derive(Deserialize)]
pub(super) struct Progress {
    #[serde(rename = "ref")]
    pub(super) upload_ref: String,
    pub(super) entry_ref: String,
    /// Kept as text until its length is known.
    pub(super) progress: Box<RawValue>,
}

/// The payload of `upload_cancel`.
#[derive(Deserialize)]
pub(super) struct Cancel {
    #[serde(rename = "ref")]
    pub(super) upload_ref: String,
    #[serde(default)]
    pub(super) entry_ref: Option<String>,
    /// The token of a file that may no longer be listed and may be kept for its client.
    #[serde(default)]
    pub(super) token: Option<String>,
}

/// The limits of an entry's texts, which are kept and sent back to the page with every change.
const LIMITS: [(&str, usize); 6] = [
    ("ref", 64),
    ("name", 1024),
    ("type", 255),
    ("relative_path", 4096),
    ("meta", 4096),
    ("resume", 1024),
];

/// The number of files of one message that are looked at: all that any upload remembers, and one
/// more to see that there are too many.
const MOST: usize = UploadSpec::MAX_ENTRIES as usize + SPARE + 1;

impl ClientEntry {
    /// Creates the first file of a page, with the fields that every client sends.
    #[cfg(any(test, feature = "test"))]
    pub(super) fn new(name: &str, size: u64, content_type: &str) -> Self {
        ClientEntry {
            entry_ref: "0".to_owned(),
            name: name.to_owned(),
            size,
            content_type: content_type.to_owned(),
            relative_path: None,
            last_modified: None,
            meta: None,
            decoded: OnceLock::new(),
            resume: None,
        }
    }

    pub(super) fn meta(&self) -> &Value {
        self.decoded.get_or_init(|| {
            let text = self.meta.as_ref().map(|meta| meta.get());
            text.and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default()
        })
    }
}

impl Said<'_> {
    /// Copies the entry if it is short enough to be kept, and refuses it otherwise.
    pub(super) fn check(self) -> Result<ClientEntry, Refusal> {
        let text = |text: &Option<Text<'_>>| text.as_ref().map_or(0, |text| text.0.len());
        let lengths = [
            self.entry_ref.len(),
            self.name.len(),
            self.content_type.len(),
            text(&self.relative_path),
            self.meta.map_or(0, |meta| meta.get().len()),
            text(&self.resume),
        ];
        let mut pairs = LIMITS.iter().zip(lengths);
        if let Some(((field, limit), _)) = pairs.find(|((_, limit), len)| len > limit) {
            let entry_ref: String = self.entry_ref.chars().take(64).collect();
            return Err(Refusal::new("entry too long")
                .with("entry_ref", entry_ref)
                .with("field", *field)
                .with("limit", *limit));
        }
        Ok(ClientEntry {
            entry_ref: self.entry_ref.into_owned(),
            name: self.name.into_owned(),
            size: self.size,
            content_type: self.content_type.into_owned(),
            relative_path: self.relative_path.map(|path| path.0.into_owned()),
            last_modified: self.last_modified,
            meta: self.meta.map(ToOwned::to_owned),
            decoded: OnceLock::new(),
            resume: self.resume.map(|token| token.0.into_owned()),
        })
    }
}

/// Reads the first files of a list, and skips those beyond what any upload remembers.
fn first<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Said<'de>>, D::Error> {
    struct First;

    impl<'de> Visitor<'de> for First {
        type Value = Vec<Said<'de>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut first = Vec::new();
            while first.len() < MOST {
                match list.next_element()? {
                    Some(said) => first.push(said),
                    None => return Ok(first),
                }
            }
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(first)
        }
    }

    deserializer.deserialize_seq(First)
}

/// Reads a size. One that is no whole number counts as larger than any limit.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(Value::deserialize(deserializer)?
        .as_u64()
        .unwrap_or(u64::MAX))
}

fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_u64())
}
