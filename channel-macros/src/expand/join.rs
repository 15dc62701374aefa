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
    let krate = cx.krate;
    let span = Span::mixed_site();
    let joins = cx.target.with(Role::Join).map(|join| attempt(cx, join));
    quote_spanned! {span=>
        fn join<'a>(
            __cx: &'a #krate::__private::Context<'a, Self, #krate::__private::role::join>,
            __payload: #krate::__private::Payload,
        ) -> #krate::__private::HandlerFuture<'a, #krate::__private::Joined<Self>> {
            let __topic: &'a ::core::primitive::str = __cx.topic().as_str();
            #(#joins)*
            #krate::__private::HandlerFuture::ready(#krate::__private::Joined::Unmatched)
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
            let krate = cx.krate;
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
                if let ::core::option::Option::Some([#(#names),*]) =
                    #krate::__private::captures::<#count>(&[#(#literals),*], __topic)
                {
                    return #body;
                }
            }
        }
    };
    under(&join.cfgs(), matched)
}

fn accept(cx: &ExpandCtx<'_>, join: &Handler<'_>) -> TokenStream {
    let krate = cx.krate;
    let span = Span::mixed_site();
    let call = Call::of(cx, join);
    let refused = quote_spanned! {span=>
        (|__refusal: #krate::__private::Refusal| {
            #krate::__private::HandlerFuture::ready(#krate::__private::Joined::Refused(__refusal))
        })
    };
    let payload = |parameter: &crate::model::Parameter<'_>| {
        let ty = cx.outside(parameter.ty);
        let decode = call.decode(parameter, &ty);
        quote_spanned! {span=>
            match #decode(__payload) {
                ::core::result::Result::Ok(__value) => __value,
                ::core::result::Result::Err(__error) => {
                    return #krate::__private::HandlerFuture::ready(
                        #krate::__private::Joined::Refused(::core::convert::Into::into(__error)),
                    );
                }
            }
        }
    };
    let arguments = call.arguments(payload, &refused);
    let own = cx.ty();
    let step = call.step(&quote!(), |value| {
        call.convert("IntoJoin", quote!(<#own>), "into_join", value)
    });
    quote_spanned!(span=> { #arguments #step })
}
