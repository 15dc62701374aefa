//! The handled and intercepted events.

use syn::LitStr;

use super::{repeated, spaces};
use crate::{
    args::ChannelArgs,
    diagnostics::{Diagnostics, say},
    model::Target,
    role::Role,
};

pub(super) fn check(target: &Target<'_>, args: &ChannelArgs, diagnostics: &mut Diagnostics) {
    names(target, args, diagnostics);
    duplicates(target, Role::HandleIn, diagnostics);
    duplicates(target, Role::HandleOut, diagnostics);
    nameless(target, diagnostics);
    intercepts(target, args, diagnostics);
    outs(target, args, diagnostics);
}

/// Returns the error of a name that the wire cannot carry.
///
/// ```text
/// #[handle_in(«"phx_join"»)]
/// ```
pub(crate) fn name(name: &str) -> Option<String> {
    match name {
        "" => Some(say::event_empty()),
        name if name.starts_with("phx_") => Some(say::event_reserved(name)),
        name if name.len() > 255 => Some(say::event_long()),
        name => spaces(name),
    }
}

/// As [`name`], for all names of the block.
fn names(target: &Target<'_>, args: &ChannelArgs, diagnostics: &mut Diagnostics) {
    for handler in &target.handlers {
        if let (Role::HandleIn | Role::HandleOut, Some(event)) = (handler.role, &handler.literal)
            && let Some(message) = name(&event.value())
        {
            handler.wrong_on(diagnostics, event, message);
        }
    }
    for event in &args.intercept {
        if let Some(message) = name(&event.value()) {
            diagnostics.on(event, message);
        }
    }
}

/// ```text
/// #[handle_in("ping")] …
/// #[handle_in(«"ping"»)] …
/// ```
fn duplicates(target: &Target<'_>, role: Role, diagnostics: &mut Diagnostics) {
    let named = target
        .with(role)
        .filter(|handler| handler.literal.is_some());
    repeated(
        named,
        |first, second| first.named() == second.named(),
        |first, second| {
            if let Some(event) = &second.literal {
                let message = say::event_handled(event.value(), first.name());
                second.wrong_on(diagnostics, event, message);
            }
        },
    );
}

/// ```text
/// #[handle_in] fn first(&mut self) {}
/// #[«handle_in»] fn second(&mut self) {}
/// ```
fn nameless(target: &Target<'_>, diagnostics: &mut Diagnostics) {
    let nameless = target
        .with(Role::HandleIn)
        .filter(|handler| handler.is_nameless());
    repeated(
        nameless,
        |_, _| true,
        |first, second| {
            let message = say::nameless_handled(first.name());
            second.wrong_on(diagnostics, second.attribute.name(), message);
        },
    );
}

/// ```text
/// #[channel("room:*", intercept = [«"user_left"»])]
/// ```
fn intercepts(target: &Target<'_>, args: &ChannelArgs, diagnostics: &mut Diagnostics) {
    for (at, event) in args.intercept.iter().enumerate() {
        let mut handlers = target.with(Role::HandleOut);
        if args.intercept[..at].contains(event) {
            diagnostics.on(event, say::intercept_duplicate(event.value()));
        } else if name(&event.value()).is_none()
            && !target.is_incomplete()
            && !handlers.any(|handler| handler.literal.as_ref() == Some(event))
        {
            diagnostics.on(event, say::intercept_unhandled(event.value()));
        }
    }
}

/// ```text
/// #[handle_out(«"new_msg"»)] without intercept = ["new_msg"]
/// #[«handle_out»]
/// ```
fn outs(target: &Target<'_>, args: &ChannelArgs, diagnostics: &mut Diagnostics) {
    let topic = args
        .topics
        .first()
        .map_or_else(|| "room:*".to_owned(), LitStr::value);
    for handler in target.with(Role::HandleOut) {
        let Some(event) = &handler.literal else {
            if handler.is_nameless() {
                handler.wrong_on(diagnostics, handler.attribute.name(), say::out_nameless());
            }
            continue;
        };
        if args.complete && !args.intercept.contains(event) && name(&event.value()).is_none() {
            let message = say::out_not_intercepted(event.value(), handler.name(), &topic);
            handler.wrong_on(diagnostics, event, message);
        }
    }
}
