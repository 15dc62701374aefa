//! The checks of a block: one function per rule, each with an example of the code it rejects.
//!
//! A rule reports on the user's own token, and marks the handler it concerns, so that the compiler
//! does not report the same mistake in other words.

mod event;
mod join;
mod parameter;
mod role;
mod socket;
mod topic;
mod upload;

pub(crate) use self::event::name as event_name;
use crate::{
    args::{ChannelArgs, SocketArgs},
    diagnostics::{Diagnostics, say},
    model::{Handler, ParamSource, Target},
    role::Role,
    types::shown,
};

/// Checks a `#[channel]` block.
pub(crate) fn channel(target: &Target<'_>, args: &ChannelArgs, diagnostics: &mut Diagnostics) {
    let any = args.socket_parameter(&target.block.generics);
    unbounded(target, "channel", any, diagnostics);
    let topics = topic::patterns(target, args, diagnostics);
    for handler in &target.handlers {
        role::check(handler, diagnostics);
        parameter::check(handler, diagnostics);
    }
    socket::lent(target, args, diagnostics);
    join::check(target, args, topics.as_deref(), diagnostics);
    event::check(target, args, diagnostics);
    upload::check(target, diagnostics);
    listed_twice(&args.pushes, diagnostics);
    listed_twice(&args.proofs, diagnostics);
    proofs(target, args, diagnostics);
    role::channel(target, diagnostics);
}

/// Checks a `#[socket]` block.
pub(crate) fn socket(target: &Target<'_>, args: &SocketArgs, diagnostics: &mut Diagnostics) {
    unbounded(target, "socket", None, diagnostics);
    for handler in &target.handlers {
        role::check(handler, diagnostics);
        parameter::check(handler, diagnostics);
    }
    socket::check(target, args, diagnostics);
}

/// ```text
/// #[channel("room:*", proofs = [Admin])] … #[handle_info] fn tick(&mut self, _: Tick, admin: «&Admin») {}
/// ```
fn proofs(target: &Target<'_>, args: &ChannelArgs, diagnostics: &mut Diagnostics) {
    let others = target.handlers.iter();
    for handler in others.filter(|handler| handler.role != Role::HandleIn) {
        for parameter in &handler.parameters {
            let ParamSource::Lent(lent) = parameter.source else {
                continue;
            };
            if args.proofs.iter().any(|proof| shown(proof) == shown(lent)) {
                let message = say::proof_elsewhere(shown(lent), handler.role.name());
                handler.wrong_on(diagnostics, parameter.ty, message);
            }
        }
    }
}

/// ```text
/// #[channel("room:*")] impl<«T»> Room<T>
/// ```
///
/// `socket` has its own error.
fn unbounded(
    target: &Target<'_>,
    attribute: &str,
    socket: Option<&syn::Ident>,
    diagnostics: &mut Diagnostics,
) {
    let unbounded = target.block.unbounded.iter();
    for parameter in unbounded.filter(|parameter| Some(*parameter) != socket) {
        diagnostics.on(parameter, say::unbounded(attribute, parameter));
    }
}

/// Returns true if `earlier` exists whenever `later` does, as far as their `#[cfg]`s tell: methods
/// under different conditions count as alternatives.
fn is_there_with(earlier: &Handler<'_>, later: &Handler<'_>) -> bool {
    let text = |handler: &Handler<'_>| {
        let cfgs = handler.cfgs().into_iter();
        let texts = cfgs.map(|cfg| cfg.arguments.to_string());
        texts.collect::<Vec<_>>()
    };
    earlier.cfgs().is_empty() || text(earlier) == text(later)
}

/// ```text
/// #[handle_in(«" ping"»)]
/// ```
fn spaces(name: &str) -> Option<String> {
    let trimmed = name.trim();
    (trimmed != name).then(|| say::spaces(name.escape_debug(), trimmed))
}

/// Reports the handlers that repeat an earlier one.
fn repeated<'h, 'b: 'h>(
    handlers: impl Iterator<Item = &'h Handler<'b>>,
    same: impl Fn(&Handler<'b>, &Handler<'b>) -> bool,
    mut report: impl FnMut(&Handler<'b>, &Handler<'b>),
) {
    let mut seen: Vec<&Handler<'b>> = Vec::new();
    for handler in handlers {
        let mut earlier = seen.iter();
        if let Some(first) =
            earlier.find(|first| same(first, handler) && is_there_with(first, handler))
        {
            report(first, handler);
        }
        seen.push(handler);
    }
}

/// ```text
/// #[channel("room:*", pushes = [NewMsg, «NewMsg»])]
/// ```
fn listed_twice(types: &[syn::Type], diagnostics: &mut Diagnostics) {
    for (at, ty) in types.iter().enumerate() {
        if types[..at]
            .iter()
            .any(|earlier| shown(earlier) == shown(ty))
        {
            diagnostics.on(ty, say::listed_twice(shown(ty)));
        }
    }
}
