//! Topics and the patterns that match them.

use std::{borrow::Borrow, fmt, ops::Deref};

use smol_str::SmolStr;

/// The name of a topic, such as `room:lobby`.
///
/// Cheap to clone: short topics are stored inline, long ones are shared. Any text is a topic;
/// by convention it is `kind:id`. Mirrors the `topic` binary of `Phoenix.Socket`.
///
/// ```
/// use channel_runtime::Topic;
///
/// let topic = Topic::from("room:lobby");
/// assert_eq!(topic.suffix("room:"), Some("lobby"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(SmolStr);

impl Topic {
    /// Returns the topic as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the rest after `prefix`, or `None` if the topic does not start with it.
    pub fn suffix(&self, prefix: &str) -> Option<&str> {
        self.0.strip_prefix(prefix)
    }

    pub(crate) fn smol(&self) -> &SmolStr {
        &self.0
    }
}

impl From<&str> for Topic {
    fn from(text: &str) -> Self {
        Topic(SmolStr::new(text))
    }
}

impl From<String> for Topic {
    fn from(text: String) -> Self {
        Topic(SmolStr::from(text))
    }
}

impl From<&Topic> for Topic {
    fn from(topic: &Topic) -> Self {
        topic.clone()
    }
}

impl From<SmolStr> for Topic {
    fn from(text: SmolStr) -> Self {
        Topic(text)
    }
}

impl Deref for Topic {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Writes the topic unescaped. A client has chosen it, so log it as `?topic`, which escapes control
/// characters.
impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq<str> for Topic {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Topic {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// Returns true if `topic` matches `pattern`: the same text or, if the pattern ends in `*`, a topic
/// that starts with the text before the star.
///
/// A `const fn`, because `#[socket]` calls it at compile time.
pub const fn pattern_matches(pattern: &str, topic: &str) -> bool {
    let (pattern, topic) = (pattern.as_bytes(), topic.as_bytes());
    match pattern.split_last() {
        Some((b'*', prefix)) => starts_with(topic, prefix),
        _ => pattern.len() == topic.len() && starts_with(topic, pattern),
    }
}

/// Returns true if every topic of the pattern `inner` is also a topic of the pattern `outer`.
pub const fn pattern_covers(outer: &str, inner: &str) -> bool {
    match (outer.as_bytes().split_last(), inner.as_bytes().split_last()) {
        (Some((b'*', outer)), Some((b'*', inner))) => starts_with(inner, outer),
        (_, Some((b'*', _))) => false,
        _ => pattern_matches(outer, inner),
    }
}

const fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    if text.len() < prefix.len() {
        return false;
    }
    let mut at = 0;
    while at < prefix.len() {
        if text[at] != prefix[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Splits `topic` at the literal parts of a join pattern: `room:{id}:user:{user}` has the
/// literals `["room:", ":user:", ""]` and two captures.
///
/// A capture takes the text up to the next literal, and the last one takes the rest, so `room:{id}`
/// yields `a:b` for `room:a:b`. `None` if the topic does not match.
pub(crate) fn captures<'t, const N: usize>(
    literals: &[&str],
    topic: &'t str,
) -> Option<[&'t str; N]> {
    debug_assert_eq!(
        literals.len(),
        N + 1,
        "a literal before, between and after the captures"
    );
    let mut found = [""; N];
    split(literals, topic, &mut found).map(|()| found)
}

/// Returns true if the captures of `topic` are these texts.
pub(crate) fn reads_as(literals: &[&str], topic: &str, texts: &[String]) -> bool {
    let mut found = vec![""; texts.len()];
    split(literals, topic, &mut found).is_some() && found == texts
}

fn split<'t>(literals: &[&str], topic: &'t str, found: &mut [&'t str]) -> Option<()> {
    let (first, rest) = literals.split_first()?;
    let mut left = topic.strip_prefix(first)?;
    let count = found.len();
    for (at, (slot, literal)) in found.iter_mut().zip(rest).enumerate() {
        let end = if at + 1 == count {
            left.len()
                .checked_sub(literal.len())
                .filter(|&end| left.get(end..) == Some(literal))?
        } else {
            left.find(literal)?
        };
        *slot = &left[..end];
        left = &left[end + literal.len()..];
    }
    left.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_every_topic_with_its_prefix() {
        assert!(pattern_matches("room:*", "room:lobby"));
        assert!(pattern_matches("room:*", "room:"));
        assert!(pattern_matches("room:*", "room:*"));
        assert!(!pattern_matches("room:*", "room"));
        assert!(!pattern_matches("room:*", "rooms:1"));
        assert!(!pattern_matches("room:*", "Room:1"));
    }

    #[test]
    fn a_pattern_without_a_star_matches_itself_only() {
        assert!(pattern_matches("exact", "exact"));
        assert!(!pattern_matches("exact", "exact:1"));
        assert!(!pattern_matches("exact", "exact*"));
        assert!(!pattern_matches("exact", ""));
    }

    #[test]
    fn a_pattern_covers_the_narrower_one() {
        assert!(pattern_covers("room:*", "room:vip:*"));
        assert!(pattern_covers("room:*", "room:lobby"));
        assert!(pattern_covers("*", "room:*"));
        assert!(!pattern_covers("room:vip:*", "room:*"));
        assert!(!pattern_covers("room:lobby", "room:*"));
        assert!(pattern_covers("lobby", "lobby"));
    }

    #[test]
    fn the_last_capture_takes_the_rest_of_the_topic() {
        assert_eq!(captures::<1>(&["room:", ""], "room:a:b"), Some(["a:b"]));
        assert_eq!(captures::<1>(&["room:", ""], "room:"), Some([""]));
        assert_eq!(captures::<1>(&["room:", ""], "rooms"), None);
    }

    #[test]
    fn captures_stop_at_the_next_literal() {
        let literals = ["room:", ":user:", ""];
        assert_eq!(
            captures::<2>(&literals, "room:1:user:2:3"),
            Some(["1", "2:3"])
        );
        assert_eq!(captures::<2>(&literals, "room:1"), None);
        assert_eq!(
            captures::<1>(&["room:", ":info"], "room:x:info"),
            Some(["x"])
        );
        assert_eq!(captures::<1>(&["room:", ":info"], "room:é"), None);
        assert_eq!(captures::<0>(&["lobby"], "lobby"), Some([]));
        assert_eq!(captures::<0>(&["lobby"], "lobby2"), None);
    }
}
