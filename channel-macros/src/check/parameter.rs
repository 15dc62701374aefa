//! The sources of a method's parameters; reports those that have none.

use quote::{ToTokens, quote};
use syn::{Pat, Type, ext::IdentExt as _};

use crate::{
    diagnostics::{Diagnostics, say},
    model::{Handler, ParamSource, Parameter, captured},
    pattern::Pattern,
    role::Role,
    types::{borrows, last_segment},
};

pub(super) fn check(handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    for parameter in &handler.parameters {
        kind(handler, parameter, diagnostics);
    }
    owned(handler, diagnostics);
    captures(handler, diagnostics);
    foreign_captures(handler, diagnostics);
    id(handler, diagnostics);
}

/// ```text
/// #[handle_in("ping")] fn ping(&mut self, socket: «&mut Socket<Self>») {}
/// #[handle_in("say")] fn say(&mut self, text: «&str») {}
/// ```
fn kind(handler: &Handler<'_>, parameter: &Parameter<'_>, diagnostics: &mut Diagnostics) {
    let ty = parameter.ty;
    let role = handler.role;
    let message = match parameter.source {
        _ if parameter.cfg => say::cfg_parameter(),
        _ if is_impl(ty) => say::impl_trait(),
        ParamSource::Exclusive => say::exclusive(),
        ParamSource::Lent(lent)
            if is_str(lent) && matches!(role, Role::HandleIn | Role::HandleOut) =>
        {
            match &handler.literal {
                Some(event) => say::event_name_lent(event.value()),
                None => return,
            }
        }
        ParamSource::Lent(lent) if is_str(lent) && matches!(role, Role::Join | Role::Connect) => {
            match handler.capture_of(parameter) {
                Some(name) => say::capture_borrowed(name),
                None => say::text_owned(),
            }
        }
        ParamSource::Lent(_) => match handler.capture_of(parameter) {
            Some(name) => say::capture_borrowed(name),
            None => return,
        },
        ParamSource::Owned if decodes(role) && borrows(ty.to_token_stream()).is_some() => {
            let at = borrows(ty.to_token_stream()).unwrap_or_else(|| handler.name().span());
            return handler.wrong_at(diagnostics, at, say::payload_borrows());
        }
        ParamSource::Uploads(_) if role == Role::Join => say::uploads_before_join(),
        _ => return,
    };
    handler.wrong_on(diagnostics, ty, message);
}

/// Returns true if a handler of the role owns a value that is decoded from a payload.
fn decodes(role: Role) -> bool {
    matches!(
        role,
        Role::Join | Role::HandleIn | Role::HandleOut | Role::Connect
    )
}

/// Returns true if a type has the name of one that the runtime lends.
fn is_lendable(ty: &Type) -> bool {
    const LENT: [&str; 7] = [
        "Topic",
        "ChannelRef",
        "Endpoint",
        "ConnectInfo",
        "Socket",
        "Shared",
        "str",
    ];
    last_segment(ty).is_some_and(|segment| LENT.iter().any(|name| segment.ident == name))
}

fn is_str(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("str"))
}

fn is_impl(ty: &Type) -> bool {
    match ty {
        Type::ImplTrait(_) => true,
        Type::Reference(reference) => is_impl(crate::types::peel(&reference.elem)),
        _ => false,
    }
}

/// ```text
/// #[handle_in("copy")] fn copy(&mut self, from: From, «to: To») {}
/// #[handle_info] fn «tick»(&mut self) {}
/// #[terminate] fn bye(self, «why: String») {}
/// ```
fn owned(handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    let name = handler.name();
    let mut owned = handler.owned();
    let first = owned.next();
    if let Some(first) = first.filter(|_| handler.role.is_gate()) {
        let message = say::gate_owns(name, handler.role.name());
        return handler.wrong_on(diagnostics, first, message);
    }
    let takes_file = handler.role == Role::HandleUpload;
    if let Some(first) = first.filter(|_| handler.role.is_upload() && !takes_file) {
        let message = say::upload_owns(name, handler.role.name());
        return handler.wrong_on(diagnostics, first, message);
    }
    if first.is_none() && handler.role.takes_message() && !handler.is_wrong() {
        // Lent types are the runtime's; a reference to any other type is the message.
        let mut parameters = handler.parameters.iter();
        if let Some((parameter, message)) = parameters.find_map(|p| match p.source {
            ParamSource::Lent(lent) if !is_lendable(lent) => Some((p, lent)),
            _ => None,
        }) {
            let text = say::message_borrowed(crate::types::shown(message));
            return handler.wrong_on(diagnostics, parameter.ty, text);
        }
        let message = say::no_message(name, handler.role.name());
        return handler.wrong_on(diagnostics, name, message);
    }
    if let Some(first) = first.filter(|_| handler.role.takes_message())
        && let Some(message) = no_message_by_name(first.ty, handler.role)
        && !is_socket_ref(first.ty)
    {
        return handler.wrong_on(diagnostics, first.ty, message);
    }
    // A `#[handle_in]` may own a message and what answers it: their types say so.
    let further = usize::from(handler.role == Role::HandleIn);
    let Some(second) = owned.nth(further).filter(|_| handler.is_readable()) else {
        return;
    };
    if let Some(message) = no_message_by_name(second.ty, handler.role) {
        return handler.wrong_on(diagnostics, second.ty, message);
    }
    let message = match handler.role {
        // A capture without a parameter of its name is more likely than a second payload.
        Role::Join if handler.untaken().next().is_some() => return,
        Role::Join => say::two_payloads(name),
        Role::Connect => say::two_params(name),
        Role::Terminate => say::terminate_owns(name),
        Role::Id => return,
        Role::HandleUpload => say::upload_two_files(name),
        _ => say::two_messages(name),
    };
    handler.wrong_on(diagnostics, second, message);
}

/// A type of this name may be a message of the user's own.
fn is_socket_ref(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == "SocketRef")
}

/// Returns the error for an owned value that can only be a mistake, judged by the name of its
/// type.
fn no_message_by_name(ty: &Type, role: Role) -> Option<String> {
    let segment = last_segment(ty)?;
    let generic = !segment.arguments.is_empty();
    match segment.ident.to_string().as_str() {
        "Socket" if generic => Some(say::socket_owned()),
        "Uploads" if generic => Some(say::uploads_owned()),
        "SocketRef" if !generic && role != Role::HandleIn => {
            Some(say::socket_ref_elsewhere(role.name()))
        }
        "Caller" if generic && role != Role::HandleCall => Some(say::caller_elsewhere(role.name())),
        "Caller" if generic => Some(say::caller_alone()),
        _ => None,
    }
}

/// ```text
/// #[join("room:{id}")] fn room«()» -> Self
/// ```
fn captures(handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    let parentheses = handler.method.signature.paren_token.span.join();
    for name in handler.untaken() {
        let mut owned = handler.owned();
        let unnamed = owned.find(|parameter| is_unnamed(parameter.pattern));
        if let Some(parameter) = unnamed.filter(|_| handler.owned().nth(1).is_some()) {
            handler.wrong_on(diagnostics, parameter.pattern, say::capture_by_name(name));
            continue;
        }
        let message = say::capture_untaken(name, handler.name());
        handler.wrong_at(diagnostics, parentheses, message);
    }
}

/// ```text
/// #[join(«"room:<id>"»)] fn room(id: u64) -> Self
/// ```
fn foreign_captures(handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    let (Some(pattern), Some(literal)) = (&handler.pattern, &handler.literal) else {
        return;
    };
    if let Some((written, name)) = handler.written_otherwise(pattern) {
        let message = say::foreign_capture(written, name);
        handler.wrong_on(diagnostics, literal, message);
    }
}

/// Returns true for a pattern such as `RoomId(id)`, which has no name of its own.
fn is_unnamed(pattern: &Pat) -> bool {
    !matches!(pattern, Pat::Ident(_) | Pat::Wild(_))
}

/// ```text
/// #[id] fn id(&self, «info: &ConnectInfo») -> String
/// ```
fn id(handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    if handler.role != Role::Id {
        return;
    }
    if let Some(first) = handler.parameters.first() {
        handler.wrong_on(diagnostics, first, say::id_parameters());
    }
    if let Some(keyword) = &handler.method.signature.asyncness {
        handler.wrong_on(diagnostics, keyword, say::id_async());
    }
}

impl ToTokens for Parameter<'_> {
    fn to_tokens(&self, tokens: &mut proc_macro2::TokenStream) {
        let (pattern, ty) = (self.pattern, self.ty);
        tokens.extend(quote!(#pattern: #ty));
    }
}

impl Handler<'_> {
    /// Returns the capture that shares a parameter's name.
    fn capture_of(&self, parameter: &Parameter<'_>) -> Option<&syn::Ident> {
        captured(self.pattern.as_ref()?, parameter.ident()?)
    }

    /// Returns a capture of an owned parameter that the pattern writes in another framework's
    /// syntax, and the parameter's name.
    pub(super) fn written_otherwise(&self, pattern: &Pattern) -> Option<(String, String)> {
        self.owned().find_map(|parameter| {
            let name = parameter.ident()?.unraw().to_string();
            let name = name.trim_start_matches('_');
            Some((pattern.written_otherwise(name)?, name.to_owned()))
        })
    }

    /// Returns the captures that no parameter is named for.
    fn untaken(&self) -> impl Iterator<Item = &syn::Ident> {
        let names = self.pattern.iter().flat_map(Pattern::names);
        names.filter(|name| {
            let mut parameters = self.parameters.iter();
            !parameters.any(|parameter| self.capture_of(parameter) == Some(*name))
        })
    }
}
