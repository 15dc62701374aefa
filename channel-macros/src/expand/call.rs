//! A call of a method: the sources of its arguments, and the conversion of its result.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Ident, Type};

use super::{ExpandCtx, respan};
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

    /// Returns the statements that bind the arguments. `owned` returns the expression of the
    /// message, and `refused` is the result for a capture that cannot be parsed.
    ///
    /// A `SocketRef` is created last: if it were created before a payload is refused, the client
    /// would be answered twice.
    pub(super) fn arguments(
        &self,
        owned: impl Fn(&Parameter<'b>) -> TokenStream,
        refused: &TokenStream,
    ) -> TokenStream {
        let span = Span::mixed_site();
        let (mut first, mut last) = (TokenStream::new(), TokenStream::new());
        let mut proofs = TokenStream::new();
        for (at, parameter) in self.handler.parameters.iter().enumerate() {
            let name = argument(at);
            match parameter.source {
                ParamSource::Lent(ty) if self.demands_proofs() => {
                    let supply = self.supply(ty);
                    proofs.extend(quote_spanned!(span=> let #name = #supply;));
                }
                ParamSource::Lent(ty) => {
                    let lent = self.provide(ty);
                    first.extend(quote_spanned!(span=> let #name = #lent;));
                }
                ParamSource::Owned => {
                    let owned = owned(parameter);
                    first.extend(quote_spanned!(span=> let #name = #owned;));
                }
                ParamSource::Capture => {
                    let capture = self.capture(parameter, refused);
                    first.extend(quote_spanned!(span=> let #name = #capture;));
                }
                ParamSource::SocketRef => {
                    last.extend(quote_spanned!(span=> let #name = __cx.socket_ref();));
                }
                ParamSource::Caller(_) => {
                    first.extend(quote_spanned!(span=> let #name = __caller;))
                }
                ParamSource::Reason => first.extend(quote_spanned!(span=> let #name = __reason;)),
                ParamSource::Entry => first.extend(quote_spanned!(span=> let #name = __entry;)),
                ParamSource::Uploads(ty) => {
                    let uploads = self.uploads(parameter, ty);
                    first.extend(quote_spanned!(span=> let #name = #uploads;));
                }
                // Already reported: no call is generated for the method.
                ParamSource::Exclusive => {}
            }
        }
        quote_spanned!(span=> #proofs #first #last)
    }

    /// Returns true if the handler may borrow proofs, which are checked before its payload is read.
    fn demands_proofs(&self) -> bool {
        self.cx.proofs && self.handler.role == Role::HandleIn
    }

    /// Returns `<Context<…> as Supply<T, …>>::supply(__cx, self)`, or the refusal, with the span of
    /// `T`.
    fn supply(&self, ty: &Type) -> TokenStream {
        let krate = self.cx.krate;
        // At the span of the type: one that is neither lent nor a proof is reported there.
        let span = Span::mixed_site().located_at(ends(ty).0);
        let supply = self.borrow(ty, &quote!(Supply), "supply");
        quote_spanned! {span=>
            match #supply(__cx, &*self) {
                ::core::result::Result::Ok(__value) => __value,
                ::core::result::Result::Err(__refusal) => {
                    return #krate::__private::HandlerFuture::ready(
                        #krate::__private::Answer::refuse(__refusal),
                    );
                }
            }
        }
    }

    /// Returns `<Context<…> as Provide<T, …>>::provide(__cx)`, with the span of `T`.
    fn provide(&self, ty: &Type) -> TokenStream {
        let path = match self.handler.role {
            Role::Connect => quote!(ProvideToConnect),
            _ => quote!(Provide),
        };
        let provide = self.borrow(ty, &path, "provide");
        quote_spanned!(Span::mixed_site()=> #provide(__cx))
    }

    /// Returns the path of the method that provides a `&T`, with the span of `T`.
    fn borrow(&self, ty: &Type, path: &TokenStream, method: &str) -> TokenStream {
        let (role, krate) = (self.role(), self.cx.krate);
        let own = self.cx.ty().to_token_stream();
        let lent = self.cx.outside(ty);
        // All at the span of `T`: if the compiler cannot say that `T` is not lent, it points at the
        // rest.
        let (at, _) = ends(&lent);
        let context = match self.handler.role {
            Role::Connect => quote!(#krate::__private::ConnectContext<'_, #own>),
            _ => quote!(#krate::__private::Context<'_, #own, #role>),
        };
        let (context, own, role) = (respan(context, at), respan(own, at), respan(role, at));
        let parameters = quote_spanned!(at=> <#lent, #own, #role>);
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
        let (path, parameters, method) = decoding(parameter.ty, self.cx.krate, self.handler.role);
        let (at, _) = ends(ty);
        let parameters = respan(parameters, at);
        self.cx.qualified_with(ty, ty, &path, parameters, method)
    }

    /// Returns the type of the role, such as `role::handle_in`.
    pub(super) fn role(&self) -> TokenStream {
        let krate = self.cx.krate;
        let role = Ident::new(self.handler.role.name(), Span::mixed_site());
        quote!(#krate::__private::role::#role)
    }

    fn capture(&self, parameter: &Parameter<'_>, refused: &TokenStream) -> TokenStream {
        let ty = self.cx.outside(parameter.ty);
        let pattern = self.handler.pattern.as_ref();
        let Some(name) = parameter
            .ident()
            .and_then(|ident| captured(pattern?, ident))
        else {
            return quote!(::core::unreachable!());
        };
        let (local, text) = (capture(name), name.to_string());
        let read = self
            .cx
            .qualified_with(&ty, &ty, &quote!(Capture), quote!(), "read");
        quote_spanned! {Span::mixed_site()=>
            match #read(#local, #text) {
                ::core::result::Result::Ok(__value) => __value,
                ::core::result::Result::Err(__error) => return #refused(__error),
            }
        }
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
        let krate = self.cx.krate;
        let step = quote!(#krate::__private::HandlerFuture);
        let call = self.call(receiver);
        if !self.handler.is_async() {
            let value = convert(call);
            return quote_spanned!(Span::mixed_site()=> #step::ready({ #value }));
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
                    // Created for this call only, so that it lives as long as the call's future.
                    ParamSource::Entry | ParamSource::Uploads(_) => quote_spanned!(span=> &#name),
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
        let krate = self.cx.krate;
        let path = super::path(path);
        let output = match self.handler.output() {
            Some(ty) => self.cx.outside(ty),
            None => quote_spanned!(self.handler.name().span()=> ()),
        };
        if mentions(output.clone(), &["impl".to_owned()]) {
            let (at, _) = ends(&output);
            let method = format_ident!("{method}");
            let convert = super::in_runtime(krate, &path);
            let convert = respan(quote!(#convert::#method), at);
            return quote_spanned!(at=> #convert(#value));
        }
        let method = self
            .cx
            .qualified_with(&output, &output, &path, parameters, method);
        quote_spanned!(Span::mixed_site()=> #method(#value))
    }
}

/// Returns the trait that decodes a client's message into a type, with its parameters and its
/// method. The type's name only selects the wording of an error: a user's type that shares its name
/// with a lent type or an axum extractor is decoded like any other.
fn decoding(
    ty: &Type,
    krate: &TokenStream,
    role: Role,
) -> (TokenStream, TokenStream, &'static str) {
    const EXTRACTORS: [&str; 6] = ["Json", "Extension", "State", "Form", "Query", "Path"];
    const LENT: [&str; 6] = [
        "Topic",
        "ChannelRef",
        "Endpoint",
        "ConnectInfo",
        "Extensions",
        "Socket",
    ];
    let name = last_segment(ty)
        .map(|segment| segment.ident.to_string())
        .unwrap_or_default();
    let generic = last_segment(ty).is_some_and(|segment| !segment.arguments.is_empty());
    let (connects, name) = (role == Role::Connect, name.as_str());
    match (LENT.contains(&name), generic && EXTRACTORS.contains(&name)) {
        (true, _) if connects => (quote!(Given), quote!(<&#krate::__private::Params>), "given"),
        (true, _) => (quote!(Given), quote!(<#krate::__private::Payload>), "given"),
        (_, true) if !connects => (quote!(FromPayloadItself), quote!(), "itself"),
        _ if connects => (quote!(FromParams), quote!(), "from_params"),
        _ => (quote!(FromPayload), quote!(), "from_payload"),
    }
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
