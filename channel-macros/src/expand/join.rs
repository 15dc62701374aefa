//! `Channel::join`: the `#[join]` methods, tried in source order.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{
    ExpandCtx,
    call::{Call, capture, reported},
    under,
};
use crate::model::Handler;
use crate::role::Role;

pub(super) fn join(cx: &ExpandCtx<'_>) -> TokenStream {
    let span = Span::mixed_site();
    let joins = cx.target.with(Role::Join).map(|join| attempt(cx, join));
    quote_spanned! {span=>
        fn join<'a>(
            __cx: &'a __rt::Context<'a, Self, __rt::role::join>,
            __payload: __rt::Payload,
        ) -> __rt::Result<__rt::HandlerFuture<'a, __rt::Joined<Self>>, __rt::Refusal> {
            #(#joins)*
            __rt::Ok(__rt::HandlerFuture::ready(__rt::Joined::Unmatched))
        }
    }
}

fn attempt(cx: &ExpandCtx<'_>, join: &Handler<'_>) -> TokenStream {
    let span = Span::mixed_site();
    let body = if join.is_wrong() {
        reported()
    } else {
        accept(cx, join)
    };
    let matched = match &join.pattern {
        None => quote_spanned!(span=> return #body;),
        Some(pattern) => {
            let literals = &pattern.literals;
            let count = pattern.captures.len();
            let names = pattern.captures.iter().map(|name| match name {
                Some(name) => {
                    let name = capture(name);
                    quote!(#name)
                }
                None => quote!(_),
            });
            quote_spanned! {span=>
                if let __rt::Some([#(#names),*]) =
                    __rt::captures::<#count>(&[#(#literals),*], __cx.topic())
                {
                    return #body;
                }
            }
        }
    };
    under(&join.cfgs(), matched)
}

fn accept(cx: &ExpandCtx<'_>, join: &Handler<'_>) -> TokenStream {
    let span = Span::mixed_site();
    let call = Call::of(cx, join);
    let payload = |parameter: &crate::model::Parameter<'_>| {
        let ty = cx.outside(parameter.ty);
        let decode = call.decode(parameter, &ty);
        quote_spanned!(span=> #decode(__payload)?)
    };
    let arguments = call.arguments(payload);
    let own = cx.ty();
    let step = call.step(&quote!(), |value| {
        call.convert("IntoJoin", quote!(<#own>), "into_join", value)
    });
    quote_spanned!(span=> { #arguments __rt::Ok(#step) })
}
