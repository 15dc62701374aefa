//! Topic patterns: `room:*` of a channel, `room:{id}` of a join.

use syn::{Ident, LitStr, ext::IdentExt as _, parse::Parser as _};

use crate::diagnostics::say;

/// A parsed pattern: the literal text before, between and after the variable parts.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) literals: Vec<String>,
    /// One entry for each gap between the literals; `None` for a `*`.
    pub(crate) captures: Vec<Option<Ident>>,
}

impl Pattern {
    /// Parses a channel's pattern: `room:*` or `lobby`.
    pub(crate) fn of_channel(source: &LitStr) -> Result<Self, String> {
        let text = source.value();
        if text.contains(['{', '}']) {
            let prefix = text.split('{').next().unwrap_or_default();
            return Err(say::capture_in_topic(format!("{prefix}*")));
        }
        Pattern::parse(source)
    }

    /// Parses a join's pattern: like a channel's, but with captures.
    pub(crate) fn parse(source: &LitStr) -> Result<Self, String> {
        let text = source.value();
        if text.is_empty() {
            return Err(say::topic_empty());
        }
        if text.trim() != text {
            return Err(say::spaces(text.escape_debug(), text.trim()));
        }
        let (text, star) = match text.strip_suffix('*') {
            Some(text) => (text, true),
            None => (text.as_str(), false),
        };
        if text.contains('*') {
            return Err(say::star_inside());
        }
        let mut pattern = Pattern {
            literals: Vec::new(),
            captures: Vec::new(),
        };
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(say::capture_unclosed)?;
            pattern.gap(literal, Some(capture(name, source)?))?;
            rest = after;
        }
        if star {
            pattern.gap(rest, None)?;
            rest = "";
        }
        pattern.literal(rest)?;
        Ok(pattern)
    }

    fn literal(&mut self, literal: &str) -> Result<(), String> {
        if literal.contains('}') {
            return Err(say::capture_unopened());
        }
        self.literals.push(literal.to_owned());
        Ok(())
    }

    fn gap(&mut self, literal: &str, capture: Option<Ident>) -> Result<(), String> {
        if literal.is_empty() && !self.captures.is_empty() {
            return Err(say::captures_adjacent());
        }
        if let Some(name) = capture
            .as_ref()
            .filter(|name| self.names().any(|n| n == *name))
        {
            return Err(say::capture_duplicate(name));
        }
        self.literal(literal)?;
        self.captures.push(capture);
        Ok(())
    }

    /// Returns the part of the pattern that captures `name` in other frameworks' syntax: `:name`,
    /// `<name>`.
    pub(crate) fn written_otherwise(&self, name: &str) -> Option<String> {
        let ends = |after: &str| after.is_empty() || after.starts_with(['/', ':', '.', '-']);
        let begins = |before: &str| before.is_empty() || before.ends_with(['/', ':', '.', '-']);
        let colon = format!(":{name}");
        let bracketed = format!("<{name}>");
        self.literals.iter().find_map(|literal| {
            let mut found = literal.match_indices(&colon);
            if literal.contains(&bracketed) {
                return Some(bracketed.clone());
            }
            found
                .any(|(at, _)| begins(&literal[..at]) && ends(&literal[at + colon.len()..]))
                .then(|| colon.clone())
        })
    }

    /// Returns the names of the captures.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Ident> {
        self.captures.iter().flatten()
    }

    /// Returns true if every topic of `inner` is also one of this pattern: matches this pattern
    /// against the other, where a gap of the other can only be part of a gap of this one.
    pub(crate) fn covers(&self, inner: &Pattern) -> bool {
        glob(&self.letters(), &inner.letters(), false)
    }

    /// Returns true if the two have a topic in common.
    pub(crate) fn meets(&self, other: &Pattern) -> bool {
        glob(&self.letters(), &other.letters(), true)
    }

    /// Returns the pattern's text as letters, with `None` for a gap.
    fn letters(&self) -> Vec<Option<char>> {
        let mut letters = Vec::new();
        for (at, literal) in self.literals.iter().enumerate() {
            if at > 0 {
                letters.push(None);
            }
            letters.extend(literal.chars().map(Some));
        }
        letters
    }
}

/// Returns true if `left` covers `right` or, with `either`, if the two have a text in common.
fn glob(left: &[Option<char>], right: &[Option<char>], either: bool) -> bool {
    match (left, right) {
        ([], []) => true,
        ([None, left_rest @ ..], _) if glob(left_rest, right, either) => true,
        (_, [None, right_rest @ ..]) if either && glob(left, right_rest, either) => true,
        ([None, ..], [_, right_rest @ ..]) => glob(left, right_rest, either),
        ([_, left_rest @ ..], [None, ..]) if either => glob(left_rest, right, either),
        ([Some(l), left_rest @ ..], [Some(r), right_rest @ ..]) => {
            l == r && glob(left_rest, right_rest, either)
        }
        _ => false,
    }
}

fn capture(name: &str, source: &LitStr) -> Result<Ident, String> {
    if name.is_empty() {
        return Err(say::capture_empty());
    }
    // A keyword is a valid name too: that of a parameter such as `r#type`.
    let mut ident = Ident::parse_any
        .parse_str(name)
        .ok()
        .filter(|ident| ident != "_")
        .ok_or_else(|| say::capture_name(name))?
        .unraw();
    ident.set_span(source.span());
    Ok(ident)
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(&LitStr::new(text, Span::call_site())).expect(text)
    }

    fn refusal(text: &str) -> String {
        Pattern::parse(&LitStr::new(text, Span::call_site())).expect_err(text)
    }

    #[test]
    fn a_pattern_is_taken_apart() {
        let parts = pattern("room:{id}:user:{user}");
        assert_eq!(parts.literals, ["room:", ":user:", ""]);
        assert_eq!(
            parts.names().map(Ident::to_string).collect::<Vec<_>>(),
            ["id", "user"]
        );
        let parts = pattern("room:{id}:*");
        assert_eq!(parts.literals, ["room:", ":", ""]);
        assert_eq!(parts.captures.len(), 2);
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        assert_eq!(refusal(""), say::topic_empty());
        assert_eq!(refusal("a*b"), say::star_inside());
        assert_eq!(refusal("{a"), say::capture_unclosed());
        assert_eq!(refusal("a}"), say::capture_unopened());
        assert_eq!(refusal("{}"), say::capture_empty());
        assert_eq!(refusal("{a-b}"), say::capture_name("a-b"));
        assert_eq!(refusal("{_}"), say::capture_name("_"));
        assert_eq!(refusal("{a}:{a}"), say::capture_duplicate("a"));
        assert_eq!(refusal("{a}{b}"), say::captures_adjacent());
        assert_eq!(refusal("room:{a}*"), say::captures_adjacent());
    }

    #[test]
    fn a_pattern_covers_the_narrower_one() {
        assert!(pattern("room:{id}").covers(&pattern("room:lobby")));
        assert!(pattern("room:{id}").covers(&pattern("room:{a}:user:{b}")));
        assert!(pattern("*").covers(&pattern("room:*")));
        assert!(!pattern("room:{a}:user:{b}").covers(&pattern("room:{id}")));
        assert!(!pattern("room:lobby").covers(&pattern("room:{id}")));
        assert!(pattern("{a}:x").covers(&pattern("y:x")));
    }

    #[test]
    fn patterns_meet_where_one_topic_fits_both() {
        assert!(pattern("room:*").meets(&pattern("room:{id}:x")));
        assert!(pattern("room:abc*").meets(&pattern("room:{id}:x")));
        assert!(pattern("{kind}:1").meets(&pattern("room:*")));
        assert!(!pattern("chat:{id}").meets(&pattern("room:*")));
        assert!(!pattern("room:*").meets(&pattern("room")));
        assert!(pattern("lobby").meets(&pattern("lobby")));
    }
}
