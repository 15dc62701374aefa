//! The parameters of a method, and their sources.

use syn::{FnArg, Ident, Pat, ReceiverKind, Type, ext::IdentExt as _};

use crate::{
    block::Method,
    pattern::Pattern,
    role::Role,
    types::{last_segment, peel},
};

/// The receiver of a method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Receiver {
    None,
    Borrowed,
    Owned,
    /// `self: Box<Self>` and similar.
    Odd,
}

/// A parameter other than `self`.
pub(crate) struct Parameter<'b> {
    pub(crate) pattern: &'b Pat,
    /// The type as written.
    pub(crate) ty: &'b Type,
    pub(crate) source: ParamSource<'b>,
    /// True if it has a `#[cfg]`.
    pub(crate) cfg: bool,
}

/// Where a parameter comes from. What a method owns says by its type what it is.
#[derive(Clone, Copy)]
pub(crate) enum ParamSource<'b> {
    /// `&T`: the runtime lends it.
    Lent(&'b Type),
    /// `&mut T`: the runtime lends none.
    Exclusive,
    /// The message, the payload, the parameters, or what the role gives otherwise.
    Owned,
    /// The part of the topic that the pattern captures under the parameter's name.
    Capture,
    /// The value that a `#[handle_call]` owns beside its message.
    Caller,
    /// `&Uploads<P>`: the files of the upload of the parameter's name; the `Uploads<P>`.
    Uploads(&'b Type),
}

impl Parameter<'_> {
    /// Returns the name it is bound to.
    pub(crate) fn ident(&self) -> Option<&Ident> {
        ident_of(self.pattern)
    }
}

fn ident_of(pattern: &Pat) -> Option<&Ident> {
    match pattern {
        Pat::Ident(pattern) => Some(&pattern.ident),
        _ => None,
    }
}

pub(super) fn receiver(method: &Method) -> Receiver {
    let Some(receiver) = method.signature.receiver() else {
        return Receiver::None;
    };
    match &receiver.kind {
        ReceiverKind::Value => Receiver::Owned,
        ReceiverKind::Reference(..) => Receiver::Borrowed,
        ReceiverKind::Typed(_, ty) => match peel(ty) {
            Type::Reference(reference) if is_self(&reference.elem) => Receiver::Borrowed,
            ty if is_self(ty) => Receiver::Owned,
            _ => Receiver::Odd,
        },
        _ => Receiver::Odd,
    }
}

fn is_self(ty: &Type) -> bool {
    matches!(peel(ty), Type::Path(path) if path.path.is_ident("Self"))
}

/// Returns all parameters of a method other than `self`.
pub(super) fn all<'b>(
    role: Role,
    pattern: Option<&Pattern>,
    method: &'b Method,
) -> Vec<Parameter<'b>> {
    let typed = method
        .signature
        .inputs
        .iter()
        .filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        });
    let parameter = |typed: &'b syn::PatType| Parameter {
        pattern: &typed.pat,
        ty: peel(&typed.ty),
        source: source(pattern, &typed.pat, peel(&typed.ty)),
        cfg: typed.attrs.iter().any(|a| a.path().is_ident("cfg")),
    };
    let mut parameters: Vec<_> = typed.map(parameter).collect();
    if role == Role::HandleCall {
        find_caller(&mut parameters);
    }
    parameters
}

fn source<'b>(pattern: Option<&Pattern>, name: &Pat, ty: &'b Type) -> ParamSource<'b> {
    if let Type::Reference(reference) = ty {
        return match reference.mutability {
            Some(_) => ParamSource::Exclusive,
            None => ParamSource::Lent(peel(&reference.elem)),
        };
    }
    match (pattern, ident_of(name)) {
        (Some(pattern), Some(name)) if captured(pattern, name).is_some() => ParamSource::Capture,
        _ => ParamSource::Owned,
    }
}

/// Of two values that a `#[handle_call]` owns, the one that is named so is the `Caller`, or the second;
/// the message must be known by its tokens, since a trait is implemented for it. Its type is held to
/// it.
fn find_caller(parameters: &mut [Parameter<'_>]) {
    let owned = parameters.iter().enumerate();
    let owned = owned.filter(|(_, parameter)| matches!(parameter.source, ParamSource::Owned));
    let owned: Vec<_> = owned
        .map(|(at, parameter)| (at, is_called(parameter.ty, "Caller")))
        .collect();
    if let [(first, first_is), (second, second_is)] = owned[..] {
        let caller = if first_is && !second_is {
            first
        } else {
            second
        };
        parameters[caller].source = ParamSource::Caller;
    }
}

/// Finds the files of the uploads among what a channel's handlers borrow: by the names of the uploads,
/// and of the type, for an error that says what is missing.
pub(super) fn find_uploads(parameters: &mut [Parameter<'_>], is_declared: impl Fn(&str) -> bool) {
    const LENT: [&str; 5] = ["Socket", "Topic", "ChannelRef", "Endpoint", "ConnectInfo"];
    for parameter in parameters {
        let ParamSource::Lent(lent) = parameter.source else {
            continue;
        };
        let name = parameter.ident().map(|name| name.unraw().to_string());
        let name = name.unwrap_or_default();
        let declared = is_declared(name.trim_start_matches('_')) || is_declared(&name);
        let runtimes = last_segment(lent)
            .is_none_or(|segment| LENT.iter().any(|known| segment.ident == known));
        if is_called(lent, "Uploads") || declared && !runtimes {
            parameter.source = ParamSource::Uploads(lent);
        }
    }
}

/// Returns true if a type has this name, and arguments.
fn is_called(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == name && !segment.arguments.is_empty())
}

/// Returns the capture that a parameter takes: the one of its name, with or without a leading `_`.
pub(crate) fn captured<'p>(pattern: &'p Pattern, name: &Ident) -> Option<&'p Ident> {
    let name = name.unraw();
    pattern
        .names()
        .find(|capture| **capture == name || name == format!("_{capture}"))
}
