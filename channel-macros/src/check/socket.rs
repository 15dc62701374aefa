//! A socket and its channels.

use super::{listed_twice, repeated};
use crate::{
    args::{ChannelArgs, SocketArgs},
    diagnostics::{Diagnostics, say},
    model::{Handler, Target},
    role::Role,
    types::shown,
};

pub(super) fn check(target: &Target<'_>, args: &SocketArgs, diagnostics: &mut Diagnostics) {
    connect(target, diagnostics);
    id(target, diagnostics);
    channels(args, diagnostics);
    state(target, args, diagnostics);
}

/// ```text
/// #[socket(channels = [Room])]
/// impl «UserSocket» {}
/// ```
fn connect(target: &Target<'_>, diagnostics: &mut Diagnostics) {
    if target.with(Role::Connect).next().is_none() && !target.is_incomplete() {
        diagnostics.on(&target.block.self_ty, say::no_connect(&target.name));
    }
    repeated(
        target.with(Role::Connect),
        |_, _| true,
        |first, second| {
            let message = say::connect_twice(first.name());
            second.wrong_on(diagnostics, second.attribute.name(), message);
        },
    );
}

/// ```text
/// #[id] fn first(&self) -> String
/// #[«id»] fn second(&self) -> String
/// ```
fn id(target: &Target<'_>, diagnostics: &mut Diagnostics) {
    repeated(
        target.with(Role::Id),
        |_, _| true,
        |first, second| {
            let message = say::id_twice(first.name());
            second.wrong_on(diagnostics, second.attribute.name(), message);
        },
    );
}

/// ```text
/// #[socket(channels = [Room, «Room»])]
/// ```
fn channels(args: &SocketArgs, diagnostics: &mut Diagnostics) {
    listed_twice(&args.channels, diagnostics);
}

/// ```text
/// #[socket(channels = [Room], state = App)] … #[connect] fn connect(app: «App») -> Self
/// ```
fn state(target: &Target<'_>, args: &SocketArgs, diagnostics: &mut Diagnostics) {
    let Some(state) = &args.state else { return };
    for handler in target.with(Role::Connect) {
        for parameter in handler.owned().filter(|p| shown(p.ty) == shown(state)) {
            handler.wrong_on(diagnostics, parameter.ty, say::state_lent(shown(state)));
        }
    }
}

/// ```text
/// #[channel("room:*", socket = «S»)] impl<S> Room<S>
/// #[channel("room:*", socket = User)] … #[join] fn join(user: «User») -> Self
/// ```
pub(super) fn lent(target: &Target<'_>, args: &ChannelArgs, diagnostics: &mut Diagnostics) {
    let Some(socket) = &args.socket else { return };
    if let Some(parameter) = args.socket_parameter(&target.block.generics) {
        target.handlers.iter().for_each(Handler::leave_out);
        return diagnostics.on(parameter, say::socket_parameter(parameter));
    }
    for handler in &target.handlers {
        for parameter in handler.owned().filter(|p| shown(p.ty) == shown(socket)) {
            handler.wrong_on(diagnostics, parameter.ty, say::socket_lent(shown(socket)));
        }
    }
}
