//! A call of a method: the sources of its arguments, and the conversion of its result.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Ident, Type};

use super::{ExpandCtx, is_generic, respan};
use crate::model::{Handler, ParamSource, Parameter, Receiver, captured};
use crate::role::Role;
use crate::types::{ends, last_segment, mentions};

/// The call of a handler, in parts: first the lends and decodings, then the call itself.
pub(super) struct Call<'s, 'b> {
    cx: &'s ExpandCtx<'s>,
    handler: &'s Handler<'b>,
}

impl<'s, 'b> Call<'s, 'b> {
    pub(super) fn of(cx: &'s ExpandCtx<'s>, handler: &'s Handler<'b>) -> Self {
        Call { cx, handler }
    }

    /// Statements that bind the arguments; `owned` says how the message is had. Proofs come first: they
    /// are asked for before the payload is read.
    pub(super) fn arguments(&self, owned: impl Fn(&Parameter<'b>) -> TokenStream) -> TokenStream {
        let mut parameters: Vec<_> = self.handler.parameters.iter().enumerate().collect();
        parameters.sort_by_key(|(_, parameter)| !matches!(parameter.source, ParamSource::Lent(_)));
        let bound = parameters.into_iter().map(|(at, parameter)| {
            let value = match parameter.source {
                ParamSource::Lent(ty) if self.demands_proofs() => self.supply(ty),
                ParamSource::Lent(ty) => self.provide(ty),
                ParamSource::Owned => owned(parameter),
                ParamSource::Capture => self.capture(parameter),
                ParamSource::Caller => quote_spanned!(Span::mixed_site()=> __caller),
                ParamSource::Uploads(ty) => self.uploads(parameter, ty),
                // Reported, and then nothing is generated for the method.
                ParamSource::Exclusive => return TokenStream::new(),
            };
            let name = argument(at);
            quote_spanned!(Span::mixed_site()=> let #name = #value;)
        });
        bound.collect()
    }

    /// Statements that make what [`Call::arguments`] has held of several owned parameters.
    pub(super) fn complete(&self) -> TokenStream {
        let parameters = self.handler.parameters.iter().enumerate();
        let open = parameters.filter(|(_, parameter)| {
            matches!(parameter.source, ParamSource::Owned) && self.is_open(parameter)
        });
        let made = open.map(|(at, _)| {
            let name = argument(at);
            quote_spanned!(Span::mixed_site()=> let #name = #name.complete(__cx);)
        });
        made.collect()
    }

    /// Returns true if the type itself decides its kind: the message, or a means to answer it. A
    /// type named like one that cannot be a payload is read as a payload, for the error's text.
    pub(super) fn is_open(&self, parameter: &Parameter<'_>) -> bool {
        let (_, _, method) = decoding(parameter.ty, self.handler.role);
        method == "from_payload"
    }

    /// A name for the type of each owned parameter that says what it is, so that the type is written once:
    /// it is asked for several things, and one that is not there is reported once. One that needs the
    /// block's parameters cannot have a name.
    pub(super) fn aliases(&self) -> TokenStream {
        let named = self.handler.owned().enumerate();
        let named = named.filter(|(_, owned)| self.is_open(owned));
        let aliases = named.filter_map(|(at, owned)| {
            let ty = self.cx.outside(owned.ty);
            let name = alias(at, Span::mixed_site());
            (!is_generic(&ty, self.cx.generics()))
                .then(|| quote_spanned!(Span::mixed_site()=> type #name = #ty;))
        });
        aliases.collect()
    }

    /// `<T as FromMessage>::item`, on the tokens of the type of an owned parameter.
    pub(super) fn message_path(&self, parameter: &Parameter<'_>, item: &str) -> TokenStream {
        let ty = self.cx.outside(parameter.ty);
        let mut owned = self.handler.owned();
        let at = owned.position(|owned| std::ptr::eq(owned, parameter));
        let (first, _) = ends(&ty);
        // An alias has one span, so what is missing is reported once, also of a type of several tokens.
        let named = match at {
            Some(at) if !is_generic(&ty, self.cx.generics()) => {
                alias(at, first).into_token_stream()
            }
            _ => ty,
        };
        self.cx
            .qualified_with(&named, &named, &quote!(FromMessage), quote!(), item)
    }

    /// When the handler answers, as its owned parameters say; `None` where it owns none that could say it.
    pub(super) fn answers_when(&self) -> Option<TokenStream> {
        let open = self.handler.owned().filter(|owned| self.is_open(owned));
        let whens = open.map(|owned| self.message_path(owned, "Answers"));
        whens.reduce(
            |one, other| quote_spanned!(Span::mixed_site()=> <#one as __rt::When>::Or<#other>),
        )
    }

    /// `<Context<…> as Provide<T, …>>::provide(__cx)`, on the tokens of `T`.
    fn provide(&self, ty: &Type) -> TokenStream {
        let path = providing(ty, self.handler.role);
        let provide = self.borrow(ty, &path, "provide");
        quote_spanned!(Span::mixed_site()=> #provide(__cx))
    }

    /// Returns true if the handler may borrow proofs, which are checked before its payload is read.
    fn demands_proofs(&self) -> bool {
        self.cx.proofs && self.handler.role == Role::HandleIn
    }

    /// Returns `<Context<…> as Supply<T, …>>::supply(__cx, self)`, or the refusal, with the span of
    /// `T`.
    fn supply(&self, ty: &Type) -> TokenStream {
        // Where the type stands: what is neither lent nor a proof is reported there.
        let span = Span::mixed_site().located_at(ends(ty).0);
        let supply = self.borrow(ty, &quote!(Supply), "supply");
        quote_spanned!(span=> #supply(__cx, &*self)?)
    }

    /// Returns the path of the method that provides a `&T`, with the span of `T`.
    fn borrow(&self, ty: &Type, path: &TokenStream, method: &str) -> TokenStream {
        let role = self.role();
        let own = self.cx.ty().to_token_stream();
        let lent = self.cx.outside(ty);
        // All at the span of `T`: if the compiler cannot say that `T` is not lent, it points at the
        // rest.
        let (at, _) = ends(&lent);
        let (own, role) = (respan(own, at), respan(role, at));
        let parameters = quote_spanned!(at=> <#lent, #own, #role>);
        // The loan of a proof depends on the type that lends it: it must be known for one error.
        let context = match self.demands_proofs() {
            true => quote_spanned!(at=> __rt::Context<'_, #own, #role>),
            false => quote_spanned!(at=> _),
        };
        self.cx
            .qualified_with(&lent, &context, path, parameters, method)
    }

    /// Returns `<Uploads<…> as UploadsOf<Declared>>::of(__cx, "photos")`, with the span of the
    /// type.
    fn uploads(&self, parameter: &Parameter<'_>, ty: &Type) -> TokenStream {
        let declared = self.cx.target.upload_of(parameter);
        let output = declared.and_then(Handler::output);
        let name = declared.and_then(|declared| declared.literal.as_ref());
        let (Some(output), Some(name)) = (output, name) else {
            return reported();
        };
        let (ty, output) = (self.cx.outside(ty), self.cx.outside(output));
        let (at, _) = ends(&ty);
        let parameters = respan(quote!(<#output>), at);
        let path = quote!(upload::UploadsOf);
        let of = self.cx.qualified_with(&ty, &ty, &path, parameters, "of");
        quote_spanned!(Span::mixed_site()=> #of(__cx, #name))
    }

    /// Returns the function that decodes a parameter of the message, with the span of its type.
    pub(super) fn decode(&self, parameter: &Parameter<'_>, ty: &TokenStream) -> TokenStream {
        let (path, parameters, method) = decoding(parameter.ty, self.handler.role);
        let (at, _) = ends(ty);
        let parameters = respan(parameters, at);
        self.cx.qualified_with(ty, ty, &path, parameters, method)
    }

    /// Returns the type of the role, such as `role::handle_in`.
    pub(super) fn role(&self) -> TokenStream {
        let role = Ident::new(self.handler.role.name(), Span::mixed_site());
        quote!(__rt::role::#role)
    }

    fn capture(&self, parameter: &Parameter<'_>) -> TokenStream {
        let ty = self.cx.outside(parameter.ty);
        let pattern = self.handler.pattern.as_ref();
        let Some(name) = parameter
            .ident()
            .and_then(|ident| captured(pattern?, ident))
        else {
            return reported();
        };
        let (local, text) = (capture(name), name.to_string());
        let read = self
            .cx
            .qualified_with(&ty, &ty, &quote!(Capture), quote!(), "read");
        quote_spanned!(Span::mixed_site()=> #read(#local, #text)?)
    }

    /// Returns the call's step, which passes the result to `convert`; `receiver` is the channel.
    ///
    /// The async block has the span of the method's name, so that a future that is not `Send` is
    /// reported there.
    pub(super) fn step(
        &self,
        receiver: &TokenStream,
        convert: impl FnOnce(TokenStream) -> TokenStream,
    ) -> TokenStream {
        let step = quote!(__rt::HandlerFuture);
        let call = self.call(receiver);
        if !self.handler.is_async() {
            let value = convert(call);
            return quote_spanned!(Span::mixed_site()=> #step::ready(#value));
        }
        let at = self.handler.name().span();
        let step = respan(step, at);
        let value = convert(quote_spanned!(at=> #call.await));
        quote_spanned!(at=> #step::pending(async move { #value }))
    }

    /// Returns the call itself.
    pub(super) fn call(&self, receiver: &TokenStream) -> TokenStream {
        let (own, name) = (self.cx.ty(), self.handler.name());
        let receiver = (self.handler.receiver != Receiver::None).then(|| quote!(#receiver,));
        let span = Span::mixed_site();
        let arguments = self
            .handler
            .parameters
            .iter()
            .enumerate()
            .map(|(at, parameter)| {
                let name = argument(at);
                match parameter.source {
                    // Made for this call alone, so that it lives as long as the call's future.
                    ParamSource::Uploads(_) => quote_spanned!(span=> &#name),
                    ParamSource::Lent(ty) if self.demands_proofs() => {
                        let span = span.located_at(ends(ty).0);
                        quote_spanned!(span=> ::core::ops::Deref::deref(&#name))
                    }
                    _ => quote_spanned!(span=> #name),
                }
            });
        quote_spanned!(span=> <#own>::#name(#receiver #(#arguments),*))
    }

    /// Returns `<Output as Trait>::method(value)`, with the span of the returned type.
    pub(super) fn convert(
        &self,
        path: &str,
        parameters: TokenStream,
        method: &str,
        value: TokenStream,
    ) -> TokenStream {
        let path = super::path(path);
        let output = match self.handler.output() {
            Some(ty) => self.cx.outside(ty),
            None => quote_spanned!(self.handler.name().span()=> ()),
        };
        if mentions(output.clone(), &["impl".to_owned()]) {
            let (at, _) = ends(&output);
            let method = format_ident!("{method}");
            let path = super::in_runtime(&path);
            let convert = respan(quote!(#path::#method), at);
            return quote_spanned!(at=> #convert(#value));
        }
        let method = self
            .cx
            .qualified_with(&output, &output, &path, parameters, method);
        quote_spanned!(Span::mixed_site()=> #method(#value))
    }
}

/// The trait that decodes what a client sent into a type, with its parameters and its method. By the
/// type's name the words of an error are chosen, no more: a type of the user's own that is called as one
/// that is lent, or as an extractor of axum, is decoded as any other.
fn decoding(ty: &Type, role: Role) -> (TokenStream, TokenStream, &'static str) {
    const EXTRACTORS: [&str; 6] = ["Json", "Extension", "State", "Form", "Query", "Path"];
    const LENT: [&str; 6] = [
        "Topic",
        "ChannelRef",
        "Endpoint",
        "ConnectInfo",
        "Extensions",
        "Socket",
    ];
    let (name, generic) = named(ty);
    let name = name.as_str();
    let lent = LENT.contains(&name) || generic && name == "Uploads";
    let connects = role == Role::Connect;
    match (lent, generic && EXTRACTORS.contains(&name)) {
        (true, _) if connects => (quote!(Given), quote!(<&__rt::Params>), "given"),
        (true, _) => (quote!(Given), quote!(<__rt::Payload>), "given"),
        (_, true) if !connects => (quote!(FromPayloadItself), quote!(), "itself"),
        _ if connects => (quote!(FromParams), quote!(), "from_params"),
        _ if name == "SocketRef" && role != Role::HandleIn => {
            let role = Ident::new(role.name(), Span::mixed_site());
            let parameters = quote!(<__rt::role::#role>);
            (quote!(FromPayloadElsewhere), parameters, "elsewhere")
        }
        _ => (quote!(FromPayload), quote!(), "from_payload"),
    }
}

/// The trait that lends a type. Its name chooses the words of an error, as in [`decoding`].
fn providing(ty: &Type, role: Role) -> TokenStream {
    let (name, generic) = named(ty);
    match (role, name.as_str()) {
        (Role::Connect, _) => quote!(ProvideToConnect),
        (Role::Join | Role::BeforeJoin, "Socket") if generic => quote!(ProvideBeforeJoin),
        (Role::HandleIn, "SocketRef") | (Role::HandleCall, "Caller") => quote!(ProvideGiven),
        (Role::Terminate, "Reason") => quote!(ProvideGiven),
        (_, "SocketRef" | "Caller") => quote!(ProvideElsewhere),
        _ => quote!(Provide),
    }
}

/// The last segment of a type's path, and whether it has arguments.
fn named(ty: &Type) -> (String, bool) {
    let segment = last_segment(ty);
    let name = segment.map(|segment| segment.ident.to_string());
    let generic = segment.is_some_and(|segment| !segment.arguments.is_empty());
    (name.unwrap_or_default(), generic)
}

/// The name of an owned parameter's type.
pub(super) fn alias(at: usize, span: Span) -> Ident {
    Ident::new(&format!("__Owned{at}"), span)
}

fn argument(at: usize) -> Ident {
    Ident::new(&format!("__argument_{at}"), Span::mixed_site())
}

/// Returns the local that holds the text of a capture.
pub(super) fn capture(name: &Ident) -> Ident {
    Ident::new(&format!("__capture_{name}"), Span::mixed_site())
}

/// Returns the body for a reported handler: it has the right type and never runs.
pub(super) fn reported() -> TokenStream {
    quote_spanned!(Span::mixed_site()=> ::core::unreachable!())
}
