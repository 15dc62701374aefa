//! The model of the later stages: a channel or a socket, its handlers and their parameters.

mod parameter;

use std::cell::Cell;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Ident, LitStr, ReturnType, Type, ext::IdentExt as _};

pub(crate) use self::parameter::{ParamSource, Parameter, Receiver, captured};
use crate::{
    args::{RateLimit, UploadArgs, event_options},
    block::{Attribute, Block, Method},
    diagnostics::{Diagnostics, say},
    pattern::Pattern,
    role::Role,
    types::{borrows, last_segment, mentions, peel},
};

/// The type that an attribute makes a channel or a socket.
pub(crate) struct Target<'b> {
    pub(crate) block: &'b Block,
    /// The last segment of the type's path.
    pub(crate) name: String,
    pub(crate) handlers: Vec<Handler<'b>>,
    incomplete: bool,
}

/// A method with a role.
pub(crate) struct Handler<'b> {
    pub(crate) role: Role,
    pub(crate) attribute: Attribute,
    /// The event, the pattern or the upload it names.
    pub(crate) literal: Option<LitStr>,
    /// The declaration of an `#[allow_upload]`.
    pub(crate) upload: Option<UploadArgs>,
    /// The limits on how often clients may send the event.
    pub(crate) rate_limits: Vec<RateLimit>,
    /// The pattern of a join, if it has a valid one.
    pub(crate) pattern: Option<Pattern>,
    pub(crate) method: &'b Method,
    pub(crate) receiver: Receiver,
    pub(crate) parameters: Vec<Parameter<'b>>,
    wrong: Cell<bool>,
}

impl<'b> Target<'b> {
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
        if let Some(at) = borrows(block.self_ty.to_token_stream()) {
            diagnostics.at(at, say::borrows(attribute));
            return None;
        }
        let roles = block.methods().filter(|method| !method.roles.is_empty());
        let roles = roles.count();
        let handlers: Vec<_> = block
            .methods()
            .filter_map(|method| Handler::of(method, attribute, diagnostics))
            .collect();
        let mut handlers = handlers;
        if attribute == "channel" {
            uploads(&mut handlers);
        }
        Some(Target {
            block,
            name,
            incomplete: block.incomplete || handlers.len() < roles,
            handlers,
        })
    }

    /// Returns true if an item could not be parsed, so that something apparently missing may exist.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Returns the `#[allow_upload]` of this name.
    pub(crate) fn upload(&self, name: &str) -> Option<&Handler<'b>> {
        self.with(Role::AllowUpload).find(|handler| {
            handler
                .literal
                .as_ref()
                .is_some_and(|known| known.value() == name)
        })
    }

    /// Returns the upload that a parameter is named for, with or without a leading `_`.
    pub(crate) fn upload_of(&self, parameter: &Parameter<'_>) -> Option<&Handler<'b>> {
        let name = parameter.ident()?.unraw().to_string();
        let unused = name.strip_prefix('_').and_then(|name| self.upload(name));
        self.upload(&name).or(unused)
    }

    /// Returns true if a `#[handle_upload]` takes the files of an upload.
    pub(crate) fn is_handled(&self, upload: &Handler<'_>) -> bool {
        self.with(Role::HandleUpload)
            .any(|handler| handler.named() == upload.named())
    }

    /// Returns the handlers of a role, in source order.
    pub(crate) fn with(&self, role: Role) -> impl Iterator<Item = &Handler<'b>> {
        self.handlers.iter().filter(move |h| h.role == role)
    }
}

/// Finds the uploads that the handlers borrow.
fn uploads(handlers: &mut [Handler<'_>]) {
    let declared = handlers.iter().filter(|h| h.role == Role::AllowUpload);
    let declared: Vec<String> = declared.filter_map(Handler::named).collect();
    for handler in handlers {
        let is_declared = |name: &str| declared.iter().any(|known| known == name);
        parameter::find_uploads(&mut handler.parameters, is_declared);
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
            upload: None,
            rate_limits: Vec::new(),
            pattern: None,
            method,
            receiver: parameter::receiver(method),
            parameters: Vec::new(),
            wrong: Cell::new(false),
        };
        for further in &method.roles[1..] {
            let message = say::several_roles(method.name(), role.name());
            handler.wrong_on(diagnostics, further.name(), message);
        }
        handler.read_argument(diagnostics);
        handler.parameters = parameter::all(role, handler.pattern.as_ref(), method);
        Some(handler)
    }

    /// Reports an error of this handler, and excludes its method from the generated code.
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

    /// Excludes the method from the generated code, for the compiler to report.
    pub(crate) fn leave_out(&self) {
        self.wrong.set(true);
    }

    /// Returns the event, the pattern or the upload it names, as text.
    pub(crate) fn named(&self) -> Option<String> {
        self.literal.as_ref().map(LitStr::value)
    }

    /// Returns true unless this is a join whose pattern is invalid.
    pub(crate) fn is_readable(&self) -> bool {
        self.role != Role::Join || self.attribute.arguments.is_empty() || self.pattern.is_some()
    }

    /// Returns true if an error of this handler was reported.
    pub(crate) fn is_wrong(&self) -> bool {
        self.wrong.get()
    }

    /// Reads the event or the pattern: `("new_msg")`.
    fn read_argument(&mut self, diagnostics: &mut Diagnostics) {
        let (what, example) = match self.role {
            Role::Join => ("topic pattern", "\"room:{id}\""),
            Role::HandleIn | Role::HandleOut => ("event name", "\"new_msg\""),
            role if role.is_upload() => ("upload's name", "\"photos\""),
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
        if self.role == Role::AllowUpload {
            let at = group.span();
            let (upload, complete) = UploadArgs::parse(group.stream(), at, diagnostics);
            self.literal = upload.name.clone();
            self.upload = Some(upload);
            if !complete {
                self.leave_out();
            }
            return;
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
        let further = match further {
            Some(TokenTree::Ident(name)) if self.role == Role::HandleIn => {
                let tokens = std::iter::once(TokenTree::Ident(name)).chain(inside);
                let (limits, complete) = event_options(tokens.collect(), diagnostics);
                self.rate_limits = limits;
                if !complete {
                    self.leave_out();
                }
                None
            }
            further => further,
        };
        if let Some(further) = further {
            let message = say::role_one_argument(self.role.name(), what);
            self.wrong_on(diagnostics, further, message);
        }
        let Ok(literal) = syn::parse2::<LitStr>(literal.to_token_stream()) else {
            let what = match self.role {
                Role::Join => "a topic pattern",
                role if role.is_upload() => "an upload's name",
                _ => "an event name",
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

    /// Returns true if the attribute has no argument at all, not even a bad one.
    pub(crate) fn is_nameless(&self) -> bool {
        self.attribute.arguments.is_empty()
    }

    /// Returns the method's name.
    pub(crate) fn name(&self) -> &'b Ident {
        self.method.name()
    }

    pub(crate) fn is_async(&self) -> bool {
        self.method.signature.asyncness.is_some()
    }

    /// Returns the `#[cfg(…)]`s of the method, to repeat on everything generated for it.
    pub(crate) fn cfgs(&self) -> Vec<&'b Attribute> {
        let attributes = self.method.attributes.iter();
        attributes.filter(|attribute| attribute.is("cfg")).collect()
    }

    /// Returns the `cfg` condition under which the method does not exist.
    pub(crate) fn absent(&self) -> TokenStream {
        let conditions = self.cfgs().into_iter().map(|cfg| &cfg.arguments);
        // The arguments are `(condition)`; a parenthesized list of one is not a valid `cfg`.
        let conditions = conditions.map(|condition| quote!(all #condition));
        quote!(not(all(#(#conditions),*)))
    }

    /// Returns the return type, `None` for `()`.
    pub(crate) fn output(&self) -> Option<&'b Type> {
        match &self.method.signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => match peel(ty) {
                Type::Tuple(tuple) if tuple.elems.is_empty() => None,
                ty => Some(ty),
            },
        }
    }

    /// Returns the parameters that are neither lent nor special: the message.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &Parameter<'b>> {
        let parameters = self.parameters.iter();
        parameters.filter(|parameter| matches!(parameter.source, ParamSource::Owned))
    }

    /// Returns true if only the method itself can name the type: its own `T`, or `impl Trait`.
    pub(crate) fn knows_alone(&self, ty: &Type) -> bool {
        let generics = &self.method.signature.generics;
        let own = generics.type_params().map(|p| p.ident.to_string());
        let own = own.chain(generics.const_params().map(|p| p.ident.to_string()));
        let own: Vec<_> = own.chain(["impl".to_owned()]).collect();
        mentions(ty.to_token_stream(), &own)
    }

    /// Returns the type of the message.
    pub(crate) fn message(&self) -> Option<&'b Type> {
        self.owned().next().map(|parameter| parameter.ty)
    }

    /// The type of its `Caller`.
    pub(crate) fn caller(&self) -> Option<&'b Type> {
        let mut parameters = self.parameters.iter();
        let caller = parameters.find(|p| matches!(p.source, ParamSource::Caller));
        caller.map(|parameter| parameter.ty)
    }

    /// Returns true if it owns a parameter whose type is named `SocketRef`.
    pub(crate) fn names_socket_ref(&self) -> bool {
        self.owned().any(|parameter| {
            last_segment(parameter.ty).is_some_and(|segment| segment.ident == "SocketRef")
        })
    }
}
