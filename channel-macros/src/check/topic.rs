//! The topic patterns of a channel.

use syn::LitStr;

use crate::{
    args::ChannelArgs,
    diagnostics::{Diagnostics, say},
    pattern::Pattern,
};

/// The channel's patterns; `None` when some could not be read.
pub(super) fn patterns(args: &ChannelArgs, diagnostics: &mut Diagnostics) -> Option<Vec<Pattern>> {
    let mut readable = true;
    let mut patterns = Vec::new();
    for topic in &args.topics {
        match Pattern::of_channel(topic) {
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
/// #[channel("room:*", «"room:*"»)]
/// ```
fn duplicates(topics: &[LitStr], diagnostics: &mut Diagnostics) {
    for (at, topic) in topics.iter().enumerate() {
        if topics[..at].contains(topic) {
            diagnostics.on(topic, say::listed_twice(topic.value()));
        }
    }
}
