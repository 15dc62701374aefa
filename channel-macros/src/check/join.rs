//! Checks that every join can be reached, and that every topic can be joined.

use super::is_there_with;
use crate::{
    args::ChannelArgs,
    diagnostics::{Diagnostics, say},
    model::{Handler, Target},
    pattern::Pattern,
    role::Role,
};

pub(super) fn check(
    target: &Target<'_>,
    args: &ChannelArgs,
    topics: Option<&[Pattern]>,
    diagnostics: &mut Diagnostics,
) {
    missing(target, diagnostics);
    let joins: Vec<_> = target.with(Role::Join).collect();
    // A join whose pattern is invalid says nothing about the others.
    let (Some(topics), true) = (topics, joins.iter().all(|join| join.is_readable())) else {
        return;
    };
    for (at, join) in joins.iter().enumerate() {
        if let Some(pattern) = &join.pattern
            && !topics.iter().any(|topic| topic.meets(pattern))
        {
            never(join, args, diagnostics);
        } else {
            unreachable(join, &joins[..at], topics, diagnostics);
        }
    }
    unjoined(&joins, args, topics, diagnostics);
}

/// ```text
/// #[channel("room:*")]
/// impl «Room» {}
/// ```
fn missing(target: &Target<'_>, diagnostics: &mut Diagnostics) {
    if target.with(Role::Join).next().is_none() && !target.is_incomplete() {
        diagnostics.on(&target.block.self_ty, say::no_join(&target.name));
    }
}

/// ```text
/// #[channel("room:*")] … #[join(«"chat:{id}"»)]
/// ```
fn never(join: &Handler<'_>, args: &ChannelArgs, diagnostics: &mut Diagnostics) {
    let topics: Vec<_> = args
        .topics
        .iter()
        .map(|topic| format!("`{}`", topic.value()))
        .collect();
    if let Some(literal) = &join.literal {
        join.wrong_on(
            diagnostics,
            literal,
            say::join_never(literal.value(), topics.join(", ")),
        );
    }
}

/// ```text
/// #[join("room:{id}")] …
/// #[join(«"room:lobby"»)] …
/// ```
fn unreachable(
    join: &Handler<'_>,
    above: &[&Handler<'_>],
    topics: &[Pattern],
    diagnostics: &mut Diagnostics,
) {
    let above: Vec<_> = above
        .iter()
        .filter(|above| is_there_with(above, join))
        .collect();
    let mut taker = None;
    for topic in reachable(join.pattern.as_ref(), topics) {
        taker = above
            .iter()
            .find(|above| above.pattern.as_ref().is_none_or(|p| p.covers(topic)));
        if taker.is_none() {
            return;
        }
    }
    let Some(taker) = taker else { return };
    let taker = match &taker.literal {
        Some(literal) => format!("`{}`", literal.value()),
        None => "the `#[join]` without a pattern".to_owned(),
    };
    let message = say::join_unreachable(taker);
    match &join.literal {
        Some(literal) => join.wrong_on(diagnostics, literal, message),
        None => join.wrong_on(diagnostics, join.attribute.name(), message),
    }
}

/// Returns the topics that a join can take, among those of the channel.
fn reachable<'p>(
    join: Option<&'p Pattern>,
    topics: &'p [Pattern],
) -> impl Iterator<Item = &'p Pattern> {
    topics.iter().filter_map(move |topic| match join {
        None => Some(topic),
        Some(join) if join.covers(topic) => Some(topic),
        Some(join) if join.meets(topic) => Some(join),
        Some(_) => None,
    })
}

/// ```text
/// #[channel("room:*", «"lobby"»)] … #[join("room:{id}")]
/// ```
fn unjoined(
    joins: &[&Handler<'_>],
    args: &ChannelArgs,
    topics: &[Pattern],
    diagnostics: &mut Diagnostics,
) {
    // A reported join may be meant for any of them.
    if joins.is_empty() || joins.iter().any(|join| join.is_wrong()) {
        return;
    }
    for (topic, pattern) in args.topics.iter().zip(topics) {
        let takes = |join: &&Handler<'_>| join.pattern.as_ref().is_none_or(|p| p.meets(pattern));
        if !joins.iter().any(takes) {
            diagnostics.on(topic, say::topic_unjoined(topic.value()));
        }
    }
}
