//! The parameters of a method, and their sources.

use syn::{
    FnArg, GenericArgument, Ident, Pat, PathArguments, ReceiverKind, Type, ext::IdentExt as _,
};

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

/// The source of a parameter.
#[derive(Clone, Copy)]
pub(crate) enum ParamSource<'b> {
    /// `&T`: the runtime lends it.
    Lent(&'b Type),
    /// `&mut T`: not available.
    Exclusive,
    /// The message, the payload or the parameters.
    Owned,
    /// The part of the topic that the pattern captures under the parameter's name.
    Capture,
    /// A `SocketRef`.
    SocketRef,
    /// A `Caller<T>`, with its `T`.
    Caller(Option<&'b Type>),
    /// A `Reason` of a `#[terminate]`.
    Reason,
    /// `&UploadEntry`: the file that an upload handler handles.
    Entry,
    /// `&Uploads<P>`: the files of the upload with the parameter's name; holds the `Uploads<P>`.
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
        source: source(role, pattern, &typed.pat, peel(&typed.ty)),
        cfg: typed.attrs.iter().any(|a| a.path().is_ident("cfg")),
    };
    typed.map(parameter).collect()
}

fn source<'b>(role: Role, pattern: Option<&Pattern>, name: &Pat, ty: &'b Type) -> ParamSource<'b> {
    if let Type::Reference(reference) = ty {
        let lent = peel(&reference.elem);
        return match reference.mutability {
            Some(_) => ParamSource::Exclusive,
            None if role.is_upload() && is_named(lent, "UploadEntry") => ParamSource::Entry,
            None if is_named(lent, "Uploads") && role.block() == "channel" => {
                ParamSource::Uploads(lent)
            }
            None => ParamSource::Lent(lent),
        };
    }
    if let (Some(pattern), Some(name)) = (pattern, ident_of(name))
        && captured(pattern, name).is_some()
    {
        return ParamSource::Capture;
    }
    let Some(segment) = last_segment(ty) else {
        return ParamSource::Owned;
    };
    if segment.ident == "SocketRef" && segment.arguments.is_empty() {
        ParamSource::SocketRef
    } else if segment.ident == "Caller" {
        ParamSource::Caller(only_argument(&segment.arguments))
    } else if segment.ident == "Reason" && role == Role::Terminate {
        ParamSource::Reason
    } else {
        ParamSource::Owned
    }
}

fn is_named(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == name)
}

/// Returns the capture that a parameter takes: the one of its name, with or without a leading `_`.
pub(crate) fn captured<'p>(pattern: &'p Pattern, name: &Ident) -> Option<&'p Ident> {
    let name = name.unraw();
    pattern
        .names()
        .find(|capture| **capture == name || name == format!("_{capture}"))
}

fn only_argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    match (arguments.args.first(), arguments.args.len()) {
        (Some(GenericArgument::Type(ty)), 1) => Some(ty),
        _ => None,
    }
}
