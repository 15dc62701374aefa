//! The parser of a version 2 text message.

use std::fmt;

use bytestring::ByteString;
use serde::de::{Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::super::{DecodeError, MAX_NAME_BYTES, Message, Payload, Term, is_plain};

/// Parses a message; `keep` converts the text of its payload.
pub(super) fn read_text<'a>(
    text: &'a str,
    keep: impl FnOnce(&'a str) -> ByteString,
) -> Result<Message, DecodeError> {
    let ([join_ref, reference, topic, event], payload) = match read_plain(text) {
        Some(parts) => parts,
        None => read_any(text)?,
    };
    Ok(Message {
        join_ref,
        reference,
        topic,
        event,
        payload: Payload::from_checked_json(keep(payload)),
    })
}

/// Returns the parts of a message whose first four are null or text without escapes, as clients
/// write them.
fn read_plain(text: &str) -> Option<([Term; 4], &str)> {
    let mut rest = text.strip_prefix('[')?;
    let mut next = || {
        if let Some(after) = rest.strip_prefix("null,") {
            rest = after;
            return Some(Term::Null);
        }
        let inside = rest.strip_prefix('"')?;
        let (name, after) = inside.split_at(inside.bytes().position(|byte| !is_plain(byte))?);
        rest = after.strip_prefix("\",")?;
        (name.len() <= MAX_NAME_BYTES).then(|| Term::Text(SmolStr::new(name)))
    };
    let names = [next()?, next()?, next()?, next()?];
    let payload: &RawValue = serde_json::from_str(rest.strip_suffix(']')?).ok()?;
    Some((names, payload.get()))
}

/// Returns the parts of any message, or the reason it is malformed.
fn read_any(text: &str) -> Result<([Term; 4], &str), DecodeError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let malformed = |error: serde_json::Error| DecodeError::Malformed(error.to_string());
    let [join_ref, reference, topic, event, payload] =
        reader.deserialize_seq(Parts).map_err(malformed)?;
    reader.end().map_err(malformed)?;
    let names = [
        Term::from_raw(join_ref, "join_ref")?,
        Term::from_raw(reference, "ref")?,
        Term::from_raw(topic, "topic")?,
        Term::from_raw(event, "event")?,
    ];
    Ok((names, payload.get()))
}

/// The five parts of a message, still as text; further elements are ignored.
struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = [&'de RawValue; 5];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[join_ref, ref, topic, event, payload]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut next = |at| {
            seq.next_element::<&'de RawValue>()?
                .ok_or_else(|| A::Error::invalid_length(at, &self))
        };
        let parts = [next(0)?, next(1)?, next(2)?, next(3)?, next(4)?];
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_message_is_read_as_any_other_is() {
        for json in [
            r#"["1","2","t","e",{"a":1}]"#,
            r#"[null,"2","t","e", [1] ]"#,
            r#"["","","","",null]"#,
        ] {
            let plain = read_plain(json);
            assert!(plain.is_some() && plain == read_any(json).ok(), "{json}");
        }
        let long = "t".repeat(MAX_NAME_BYTES + 1);
        for json in [
            r#"[ "1","2","t","e",{}]"#.to_owned(),
            r#"["1",2,"t","e",{}]"#.to_owned(),
            r#"["1","2","\u0074","e",{}]"#.to_owned(),
            "[\"1\",\"2\",\"t\n\",\"e\",{}]".to_owned(),
            r#"["1","2","t","e",{},1]"#.to_owned(),
            r#"["1","2","t","e",]"#.to_owned(),
            r#"["1","2","t","e",{}"#.to_owned(),
            format!(r#"["1","2","{long}","e",{{}}]"#),
        ] {
            assert_eq!(read_plain(&json), None, "{json}");
        }
    }
}
