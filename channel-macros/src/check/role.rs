//! The requirements of a role on its method: its qualifiers, its `self` and its return type.

use quote::ToTokens;
use syn::Type;

use super::repeated;
use crate::{
    diagnostics::{Diagnostics, say},
    model::{Handler, Receiver, Target},
    role::Role,
    types::{borrows, last_segment, mentions, shown},
};

/// Checks the rules about one method.
pub(super) fn check(handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    plain(handler, diagnostics);
    generic(handler, diagnostics);
    receiver(handler, diagnostics);
    output(handler, diagnostics);
}

/// Checks the rules about all methods of a channel.
pub(super) fn channel(target: &Target<'_>, diagnostics: &mut Diagnostics) {
    terminates(target, diagnostics);
    for role in [Role::HandleInfo, Role::HandleCast, Role::HandleCall] {
        messages(target, role, diagnostics);
    }
}

/// ```text
/// #[handle_in("ping")] «unsafe» fn ping(&mut self) {}
/// ```
fn plain(handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    let signature = &handler.method.signature;
    if let syn::Safety::Unsafe(keyword) = &signature.safety {
        handler.wrong_on(
            diagnostics,
            keyword,
            say::not_plain(handler.name(), "unsafe"),
        );
    }
    if let Some(abi) = &signature.abi {
        handler.wrong_on(diagnostics, abi, say::not_plain(handler.name(), "extern"));
    }
    if let Some(variadic) = &signature.variadic {
        handler.wrong_on(diagnostics, variadic, say::variadic());
    }
}

/// ```text
/// #[handle_in("ping")] fn ping<«T»>(&mut self) {}
/// ```
fn generic(handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    let generics = &handler.method.signature.generics;
    let types = generics.type_params().map(|parameter| &parameter.ident);
    let constants = generics.const_params().map(|parameter| &parameter.ident);
    if let Some(first) = types.chain(constants).next() {
        handler.wrong_on(diagnostics, first, say::generic(handler.name()));
    }
}

/// ```text
/// #[join] fn join(«&self») -> Self
/// #[handle_in("ping")] fn ping(«self») {}
/// ```
fn receiver(handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    let Some(receiver) = handler.method.signature.receiver() else {
        if handler.role == Role::Id {
            handler.wrong_on(diagnostics, handler.name(), say::id_self());
        }
        return;
    };
    let message = match (handler.role, handler.receiver) {
        (Role::Join, _) => say::join_self(),
        (Role::BeforeJoin, _) => say::gate_self(),
        (Role::Connect, _) => say::connect_self(),
        (Role::Id, _) if !is_shared(receiver) => say::id_self(),
        (_, Receiver::Odd) => say::odd_self(),
        (Role::Terminate, _) => return,
        (role, Receiver::Owned) => say::owns_self(role.name()),
        _ => return,
    };
    handler.wrong_on(diagnostics, receiver, message);
}

fn is_shared(receiver: &syn::Receiver) -> bool {
    match &receiver.kind {
        syn::ReceiverKind::Reference(_, _, mutability) => mutability.is_none(),
        syn::ReceiverKind::Typed(_, ty) => {
            matches!(&**ty, Type::Reference(reference) if reference.mutability.is_none())
        }
        _ => false,
    }
}

/// ```text
/// #[join] fn «join»() {}
/// #[terminate] fn bye(&mut self) -> «u8»
/// ```
fn output(handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    let Some(output) = handler.output() else {
        let message = match handler.role {
            Role::Join => say::join_returns_nothing(),
            Role::Connect => say::connect_returns_nothing(),
            Role::Id => say::id_returns_nothing(),
            Role::AllowUpload => say::upload_returns_nothing(),
            Role::ValidateUpload => say::upload_validity(),
            _ => return,
        };
        return handler.wrong_on(diagnostics, handler.name(), message);
    };
    if is_future(output) && !handler.is_async() {
        return handler.wrong_on(diagnostics, output, say::returns_future(handler.name()));
    }
    match handler.role {
        Role::Terminate if !matches!(output, Type::Never(_)) => {
            handler.wrong_on(diagnostics, output, say::terminate_returns());
        }
        Role::HandleCall if handler.caller().is_none() && is_stop(output) => {
            handler.wrong_on(diagnostics, output, say::call_stops());
        }
        Role::HandleCall if handler.caller().is_none() => {
            if let Some(at) = borrows(output.to_token_stream()) {
                handler.wrong_at(diagnostics, at, say::reply_borrows());
            }
        }
        _ => {}
    }
}

fn is_future(ty: &Type) -> bool {
    matches!(ty, Type::ImplTrait(_)) && mentions(ty.to_token_stream(), &["Future".to_owned()])
}

fn is_stop(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|s| s.ident == "Stop" && s.arguments.is_empty())
}

/// ```text
/// #[terminate] fn first(self) {}
/// #[«terminate»] fn second(self) {}
/// ```
fn terminates(target: &Target<'_>, diagnostics: &mut Diagnostics) {
    repeated(
        target.with(Role::Terminate),
        |_, _| true,
        |first, second| {
            let message = say::terminate_twice(first.name());
            second.wrong_on(diagnostics, second.attribute.name(), message);
        },
    );
}

/// ```text
/// #[handle_info] fn first(&mut self, _: Tick) {}
/// #[handle_info] fn second(&mut self, _: «Tick») {}
/// ```
fn messages(target: &Target<'_>, role: Role, diagnostics: &mut Diagnostics) {
    repeated(
        target
            .with(role)
            .filter(|handler| handler.message().is_some()),
        |first, second| first.message().map(shown) == second.message().map(shown),
        |first, second| {
            if let Some(message) = second.message() {
                let text = say::message_twice(shown(message), first.name());
                second.wrong_on(diagnostics, message, text);
            }
        },
    );
}
