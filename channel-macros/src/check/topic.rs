//! The topic patterns of a channel.

use syn::LitStr;

use crate::{
    args::ChannelArgs,
    diagnostics::{Diagnostics, say},
    model::Target,
    pattern::Pattern,
    role::Role,
};

/// Returns the channel's patterns; `None` if one of them is invalid.
pub(super) fn patterns(
    target: &Target<'_>,
    args: &ChannelArgs,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Pattern>> {
    let mut readable = true;
    let mut patterns = Vec::new();
    for topic in &args.topics {
        match Pattern::of_channel(topic).and_then(|pattern| own_captures(target, pattern)) {
            Ok(pattern) => patterns.push(pattern),
            Err(message) => {
                readable = false;
                diagnostics.on(topic, message);
            }
        }
    }
    duplicates(&args.topics, diagnostics);
    (readable && args.complete && !patterns.is_empty()).then_some(patterns)
}

/// ```text
/// #[channel(«"room:<id>"»)] … #[join] fn join(id: u64) -> Self
/// ```
fn own_captures(target: &Target<'_>, pattern: Pattern) -> Result<Pattern, String> {
    let mut joins = target.with(Role::Join);
    let Some((written, _)) = joins.find_map(|join| join.written_otherwise(&pattern)) else {
        return Ok(pattern);
    };
    let text = pattern.literals.join("*");
    let before = text.split(&written).next().unwrap_or_default();
    Err(say::capture_in_topic(format!("{before}*")))
}

/// ```text
/// #[channel("room:*", «"room:*"»)]
/// ```
fn duplicates(topics: &[LitStr], diagnostics: &mut Diagnostics) {
    for (at, topic) in topics.iter().enumerate() {
        if topics[..at].contains(topic) {
            diagnostics.on(topic, say::listed_twice(topic.value()));
        }
    }
}
