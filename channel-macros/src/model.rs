//! What the later stages talk about: a channel or a socket, its handlers and their parameters.

use std::cell::Cell;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{
    FnArg, GenericArgument, Ident, LitStr, Pat, PathArguments, ReceiverKind, ReturnType, Type,
    TypePath,
};

use crate::{
    block::{Attribute, Block, Method},
    diagnostics::{Diagnostics, say},
    pattern::Pattern,
};

/// What a method is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Join,
    HandleIn,
    HandleOut,
    HandleInfo,
    HandleCall,
    HandleCast,
    Terminate,
    Connect,
    Id,
}

impl Role {
    /// The names of the attributes.
    pub(crate) const NAMES: &'static [&'static str] = &[
        "join",
        "handle_in",
        "handle_out",
        "handle_info",
        "handle_call",
        "handle_cast",
        "terminate",
        "connect",
        "id",
    ];

    const ALL: [Role; 9] = [
        Role::Join,
        Role::HandleIn,
        Role::HandleOut,
        Role::HandleInfo,
        Role::HandleCall,
        Role::HandleCast,
        Role::Terminate,
        Role::Connect,
        Role::Id,
    ];

    /// The role of an attribute.
    pub(crate) fn named(name: &str) -> Option<Role> {
        let mut roles = Role::NAMES.iter().zip(Role::ALL);
        roles
            .find(|(known, _)| **known == name)
            .map(|(_, role)| role)
    }

    /// The name of its attribute.
    pub(crate) fn name(self) -> &'static str {
        Role::NAMES[self as usize]
    }

    /// The attribute of the block it belongs to.
    pub(crate) fn block(self) -> &'static str {
        match self {
            Role::Connect | Role::Id => "socket",
            _ => "channel",
        }
    }

    /// Whether it handles messages of the server's own code, each a type.
    pub(crate) fn is_errand(self) -> bool {
        matches!(self, Role::HandleInfo | Role::HandleCall | Role::HandleCast)
    }
}

/// The type that an attribute makes a channel or a socket.
pub(crate) struct Subject<'b> {
    pub(crate) block: &'b Block,
    /// The last segment of the type's path.
    pub(crate) name: String,
    pub(crate) handlers: Vec<Handler<'b>>,
    torn: bool,
}

/// A method with a role.
pub(crate) struct Handler<'b> {
    pub(crate) role: Role,
    pub(crate) attribute: Attribute,
    /// The event or the pattern it names.
    pub(crate) literal: Option<LitStr>,
    /// The pattern of a join, when it has one that can be read.
    pub(crate) pattern: Option<Pattern>,
    pub(crate) method: &'b Method,
    pub(crate) receiver: Receiver,
    pub(crate) parameters: Vec<Parameter<'b>>,
    wrong: Cell<bool>,
}

/// How a method takes the channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Receiver {
    None,
    Borrowed,
    Owned,
    /// `self: Box<Self>` and the like.
    Odd,
}

/// A parameter, but for `self`.
pub(crate) struct Parameter<'b> {
    pub(crate) pattern: &'b Pat,
    /// The type as it is written.
    pub(crate) ty: &'b Type,
    pub(crate) supply: Supply<'b>,
    /// Whether a `#[cfg]` stands on it.
    pub(crate) cfg: bool,
}

/// Where a parameter comes from.
#[derive(Clone, Copy)]
pub(crate) enum Supply<'b> {
    /// `&T`: the runtime lends it.
    Lent(&'b Type),
    /// `&mut T`: nobody does.
    Exclusive,
    /// The message, the payload or the parameters.
    Owned,
    /// The part of the topic that the pattern captures under the parameter's name.
    Capture,
    /// A `SocketRef`.
    SocketRef,
    /// A `Caller<T>`, and the `T`.
    Caller(Option<&'b Type>),
    /// A `Reason`, of a `#[terminate]`.
    Reason,
}

impl<'b> Subject<'b> {
    /// Finds the handlers of a block.
    pub(crate) fn of(
        block: &'b Block,
        attribute: &'static str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let Some(name) = last_segment(&block.self_ty).map(|segment| segment.ident.to_string())
        else {
            diagnostics.on(&block.self_ty, say::unnamed_type(attribute));
            return None;
        };
        if let Some(lifetime) = block.generics.lifetimes().next() {
            diagnostics.on(lifetime, say::borrows(attribute));
            return None;
        }
        let before = diagnostics.len();
        let handlers: Vec<_> = block
            .methods()
            .filter_map(|method| Handler::of(method, attribute, diagnostics))
            .collect();
        Some(Subject {
            block,
            name,
            handlers,
            torn: block.torn || diagnostics.len() > before,
        })
    }

    /// Whether something could not be read, so that what seems to be missing may be there.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }

    /// The handlers that have a role, in the order in which they are written.
    pub(crate) fn with(&self, role: Role) -> impl Iterator<Item = &Handler<'b>> {
        self.handlers.iter().filter(move |h| h.role == role)
    }
}

impl<'b> Handler<'b> {
    /// Reads a method's role; a method has none, one, or (reported) too many.
    fn of(method: &'b Method, block: &'static str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let attribute = method.roles.first()?;
        let role = attribute.role()?;
        if role.block() != block {
            let message = say::wrong_block(role.name(), role.block());
            diagnostics.on(attribute.name(), message);
            return None;
        }
        let mut handler = Handler {
            role,
            attribute: attribute.clone(),
            literal: None,
            pattern: None,
            method,
            receiver: receiver(method),
            parameters: Vec::new(),
            wrong: Cell::new(false),
        };
        for further in &method.roles[1..] {
            let message = say::several_roles(method.name(), role.name());
            handler.wrong_on(diagnostics, further.name(), message);
        }
        handler.read_argument(diagnostics);
        handler.parameters = parameters(role, handler.pattern.as_ref(), method);
        Some(handler)
    }

    /// Reports an error of this handler, whose method then takes no part in what is generated.
    pub(crate) fn wrong_on(
        &self,
        diagnostics: &mut Diagnostics,
        tokens: impl ToTokens,
        message: String,
    ) {
        self.wrong.set(true);
        diagnostics.on(tokens, message);
    }

    /// As [`Handler::wrong_on`], at one span.
    pub(crate) fn wrong_at(&self, diagnostics: &mut Diagnostics, at: Span, message: String) {
        self.wrong.set(true);
        diagnostics.at(at, message);
    }

    /// Leaves the method out of what is generated, for the compiler to report.
    pub(crate) fn leave_out(&self) {
        self.wrong.set(true);
    }

    /// Whether the pattern of a join, where there is one, could be read.
    pub(crate) fn is_readable(&self) -> bool {
        self.role != Role::Join || self.attribute.arguments.is_empty() || self.pattern.is_some()
    }

    /// Whether an error of this handler was reported.
    pub(crate) fn is_wrong(&self) -> bool {
        self.wrong.get()
    }

    /// The event or the pattern: `("new_msg")`.
    fn read_argument(&mut self, diagnostics: &mut Diagnostics) {
        let (what, example) = match self.role {
            Role::Join => ("topic pattern", "\"room:{id}\""),
            Role::HandleIn | Role::HandleOut => ("event name", "\"new_msg\""),
            _ => ("", ""),
        };
        let arguments = self.attribute.arguments.clone();
        let mut tokens = arguments.clone().into_iter();
        let Some(first) = tokens.next() else { return };
        let TokenTree::Group(group) = &first else {
            let message = match what {
                "" => say::role_takes_nothing(self.role.name()),
                _ => say::role_equals(self.role.name(), example),
            };
            return self.wrong_on(diagnostics, arguments, message);
        };
        if what.is_empty() {
            return self.wrong_on(
                diagnostics,
                &first,
                say::role_takes_nothing(self.role.name()),
            );
        }
        let mut inside = group.stream().into_iter();
        let Some(literal) = inside.next() else {
            let message = say::role_empty(self.role.name(), example);
            return self.wrong_on(diagnostics, &first, message);
        };
        let further = match inside.next() {
            Some(TokenTree::Punct(comma)) if comma.as_char() == ',' => inside.next(),
            further => further,
        };
        if let Some(further) = further {
            let message = say::role_one_argument(self.role.name(), what);
            self.wrong_on(diagnostics, further, message);
        }
        let Ok(literal) = syn::parse2::<LitStr>(literal.to_token_stream()) else {
            let what = if self.role == Role::Join {
                "a topic pattern"
            } else {
                "an event name"
            };
            return self.wrong_on(diagnostics, literal, say::role_not_literal(what, example));
        };
        if self.role == Role::Join {
            match Pattern::parse(&literal) {
                Ok(pattern) => self.pattern = Some(pattern),
                Err(message) => self.wrong_on(diagnostics, &literal, message),
            }
        }
        self.literal = Some(literal);
    }

    /// Whether the attribute has no argument at all, not even a bad one.
    pub(crate) fn is_nameless(&self) -> bool {
        self.attribute.arguments.is_empty()
    }

    /// The method's name.
    pub(crate) fn name(&self) -> &'b Ident {
        self.method.name()
    }

    pub(crate) fn is_async(&self) -> bool {
        self.method.signature.asyncness.is_some()
    }

    /// The `#[cfg(…)]`s of the method, to repeat on all that is generated for it.
    pub(crate) fn cfgs(&self) -> Vec<&'b Attribute> {
        let attributes = self.method.attributes.iter();
        attributes.filter(|attribute| attribute.is("cfg")).collect()
    }

    /// The condition under which the method is not there, for `cfg`.
    pub(crate) fn absent(&self) -> TokenStream {
        let conditions = self.cfgs().into_iter().map(|cfg| &cfg.arguments);
        // The arguments are `(condition)`, and a list of one in parentheses is no `cfg`.
        let conditions = conditions.map(|condition| quote!(all #condition));
        quote!(not(all(#(#conditions),*)))
    }

    /// The returned type, `None` for nothing.
    pub(crate) fn output(&self) -> Option<&'b Type> {
        match &self.method.signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => match peel(ty) {
                Type::Tuple(tuple) if tuple.elems.is_empty() => None,
                ty => Some(ty),
            },
        }
    }

    /// The parameters that are not lent and not special: the message.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &Parameter<'b>> {
        let parameters = self.parameters.iter();
        parameters.filter(|parameter| matches!(parameter.supply, Supply::Owned))
    }

    /// Whether a type is one that only the method itself can name: `T` of its own, `impl Trait`.
    pub(crate) fn knows_alone(&self, ty: &Type) -> bool {
        let generics = &self.method.signature.generics;
        let own = generics.type_params().map(|p| p.ident.to_string());
        let own = own.chain(generics.const_params().map(|p| p.ident.to_string()));
        let own: Vec<_> = own.chain(["impl".to_owned()]).collect();
        mentions(ty.to_token_stream(), &own)
    }

    /// The type of the message.
    pub(crate) fn message(&self) -> Option<&'b Type> {
        self.owned().next().map(|parameter| parameter.ty)
    }

    /// The `T` of its `Caller<T>`: `None` when it takes no caller.
    pub(crate) fn caller(&self) -> Option<Option<&'b Type>> {
        self.parameters.iter().find_map(|p| match p.supply {
            Supply::Caller(ty) => Some(ty),
            _ => None,
        })
    }

    pub(crate) fn takes_socket_ref(&self) -> bool {
        let mut parameters = self.parameters.iter();
        parameters.any(|parameter| matches!(parameter.supply, Supply::SocketRef))
    }
}

impl Parameter<'_> {
    /// The name it is bound to.
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

fn receiver(method: &Method) -> Receiver {
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

fn parameters<'b>(role: Role, pattern: Option<&Pattern>, method: &'b Method) -> Vec<Parameter<'b>> {
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
        supply: supply(role, pattern, &typed.pat, peel(&typed.ty)),
        cfg: typed.attrs.iter().any(|a| a.path().is_ident("cfg")),
    };
    typed.map(parameter).collect()
}

fn supply<'b>(role: Role, pattern: Option<&Pattern>, name: &Pat, ty: &'b Type) -> Supply<'b> {
    if let Type::Reference(reference) = ty {
        return match reference.mutability {
            Some(_) => Supply::Exclusive,
            None => Supply::Lent(peel(&reference.elem)),
        };
    }
    if let (Some(pattern), Some(name)) = (pattern, ident_of(name))
        && captured(pattern, name).is_some()
    {
        return Supply::Capture;
    }
    let Some(segment) = last_segment(ty) else {
        return Supply::Owned;
    };
    if segment.ident == "SocketRef" && segment.arguments.is_empty() {
        Supply::SocketRef
    } else if segment.ident == "Caller" {
        Supply::Caller(only_argument(&segment.arguments))
    } else if segment.ident == "Reason" && role == Role::Terminate {
        Supply::Reason
    } else {
        Supply::Owned
    }
}

/// The capture that a parameter takes: the one of its name, with or without a leading `_`.
pub(crate) fn captured<'p>(pattern: &'p Pattern, name: &Ident) -> Option<&'p Ident> {
    pattern
        .names()
        .find(|capture| *capture == name || *name == format_ident!("_{}", capture))
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

/// The type without the parentheses and invisible groups around it.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Paren(ty) => peel(&ty.elem),
        Type::Group(ty) => peel(&ty.elem),
        ty => ty,
    }
}

/// The last segment of a type that is a path.
pub(crate) fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match peel(ty) {
        Type::Path(TypePath { path, .. }) => path.segments.last(),
        _ => None,
    }
}

/// Whether any of the tokens is one of the names.
pub(crate) fn mentions(tokens: TokenStream, names: &[String]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(group.stream(), names),
        TokenTree::Ident(ident) => names.contains(&ident.to_string()),
        _ => false,
    })
}

/// The types without repetitions.
pub(crate) fn distinct(types: &[Type]) -> Vec<&Type> {
    let mut distinct: Vec<&Type> = Vec::new();
    for ty in types {
        if !distinct.iter().any(|known| shown(known) == shown(ty)) {
            distinct.push(ty);
        }
    }
    distinct
}

/// The tokens of a type as text, to compare and to show.
pub(crate) fn shown(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string();
    let text = text
        .replace(" :: ", "::")
        .replace(" < ", "<")
        .replace(" >", ">");
    text.replace(" ,", ",").replace("& ", "&")
}

/// The first and the last of some tokens' spans: what stands for all of them.
pub(crate) fn ends(tokens: impl ToTokens) -> (Span, Span) {
    let mut spans = tokens
        .to_token_stream()
        .into_iter()
        .map(|token| token.span());
    let first = spans.next().unwrap_or_else(Span::call_site);
    (first, spans.last().unwrap_or(first))
}
