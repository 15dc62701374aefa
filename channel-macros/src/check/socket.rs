//! A socket and its channels.

use super::{listed_twice, repeated};
use crate::{
    args::SocketArgs,
    diagnostics::{Diagnostics, say},
    model::{Role, Subject},
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
