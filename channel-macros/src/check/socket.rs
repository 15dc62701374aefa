//! A socket and its channels.

use super::{listed_twice, repeated};
use crate::{
    args::{ChannelArgs, SocketArgs},
    diagnostics::{Diagnostics, say},
    model::{Handler, Role, Subject},
    types::shown,
};

pub(super) fn check(subject: &Subject<'_>, args: &SocketArgs, diagnostics: &mut Diagnostics) {
    connect(subject, diagnostics);
    id(subject, diagnostics);
    channels(args, diagnostics);
}

/// ```text
/// #[socket(channels = [Room])]
/// impl «UserSocket» {}
/// ```
fn connect(subject: &Subject<'_>, diagnostics: &mut Diagnostics) {
    if subject.with(Role::Connect).next().is_none() && !subject.is_torn() {
        diagnostics.on(&subject.block.self_ty, say::no_connect(&subject.name));
    }
    repeated(
        subject.with(Role::Connect),
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
fn id(subject: &Subject<'_>, diagnostics: &mut Diagnostics) {
    repeated(
        subject.with(Role::Id),
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
/// #[channel("room:*", socket = «S»)] impl<S> Room<S>
/// #[channel("room:*", socket = User)] … #[join] fn join(user: «User») -> Self
/// ```
pub(super) fn lent(subject: &Subject<'_>, args: &ChannelArgs, diagnostics: &mut Diagnostics) {
    let Some(socket) = &args.socket else { return };
    if let Some(parameter) = args.socket_parameter(&subject.block.generics) {
        subject.handlers.iter().for_each(Handler::leave_out);
        return diagnostics.on(parameter, say::socket_parameter(parameter));
    }
    for handler in &subject.handlers {
        for parameter in handler.owned().filter(|p| shown(p.ty) == shown(socket)) {
            handler.wrong_on(diagnostics, parameter.ty, say::socket_lent(shown(socket)));
        }
    }
}
