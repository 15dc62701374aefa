//! `Channel::handle_in` and `Channel::handle_out`: a match over the events' names.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{
    ExpandCtx,
    call::{Call, reported},
    is_generic,
};
use crate::model::{Handler, Parameter};
use crate::role::Role;
use crate::types::ends;

pub(super) fn handle_in(cx: &ExpandCtx<'_>) -> TokenStream {
    let krate = cx.krate;
    let span = Span::mixed_site();
    let handlers = || cx.target.with(Role::HandleIn);
    let arms = handlers().filter_map(|handler| {
        let (event, cfgs, body) = (
            handler.literal.as_ref()?,
            handler.cfgs(),
            answer(cx, handler),
        );
        Some(quote_spanned!(span=> #(#cfgs)* #event => #body))
    });
    let others = handlers()
        .filter(|handler| handler.literal.is_none())
        .map(|handler| {
            let (cfgs, body) = (handler.cfgs(), answer(cx, handler));
            quote_spanned!(span=> #(#cfgs)* _ => #body)
        });
    let uploads = super::upload::handle_in(cx);
    quote_spanned! {span=>
        fn handle_in<'a>(
            &'a mut self,
            __cx: &'a #krate::__private::Context<'a, Self, #krate::__private::role::handle_in>,
            __payload: #krate::__private::Payload,
        ) -> #krate::__private::HandlerFuture<'a, #krate::__private::Answer> {
            #uploads
            match __cx.event() {
                #(#arms)*
                #(#others)*
                _ => #krate::__private::HandlerFuture::ready(#krate::__private::Answer::unknown_event()),
            }
        }
    }
}

fn answer(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> TokenStream {
    let krate = cx.krate;
    let span = Span::mixed_site();
    if handler.is_wrong() {
        return quote!({ #krate::__private::HandlerFuture::ready(::core::unreachable!()) });
    }
    let call = Call::of(cx, handler);
    let payload = |parameter: &Parameter<'_>| {
        let ty = cx.outside(parameter.ty);
        let decode = call.decode(parameter, &ty);
        quote_spanned! {span=>
            match #decode(__payload) {
                ::core::result::Result::Ok(__value) => __value,
                ::core::result::Result::Err(__error) => {
                    return #krate::__private::HandlerFuture::ready(
                        #krate::__private::Answer::refuse(__error),
                    );
                }
            }
        }
    };
    let arguments = call.arguments(payload, &quote!());
    let step = call.step(&quote_spanned!(span=> self), |value| {
        if !handler.takes_socket_ref() {
            return call.convert("IntoAnswer", quote!(), "into_answer", value);
        }
        let flow = call.convert("IntoNoReply", quote!(), "into_no_reply", value);
        quote_spanned!(span=> #krate::__private::Answer::from(#flow))
    });
    quote_spanned!(span=> { #arguments #step })
}

pub(super) fn handle_out(cx: &ExpandCtx<'_>) -> TokenStream {
    let krate = cx.krate;
    let span = Span::mixed_site();
    let arms = cx.target.with(Role::HandleOut).filter_map(|handler| {
        let (event, cfgs, body) = (handler.literal.as_ref()?, handler.cfgs(), flow(cx, handler));
        Some(quote_spanned!(span=> #(#cfgs)* #event => #body))
    });
    quote_spanned! {span=>
        fn handle_out<'a>(
            &'a mut self,
            __cx: &'a #krate::__private::Context<'a, Self, #krate::__private::role::handle_out>,
            __broadcast: &'a #krate::__private::Broadcast,
        ) -> #krate::__private::HandlerFuture<'a, #krate::__private::NoReply> {
            match __cx.event() {
                #(#arms)*
                _ => #krate::__private::HandlerFuture::ready(#krate::__private::NoReply::CONTINUE),
            }
        }
    }
}

fn flow(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> TokenStream {
    let krate = cx.krate;
    let span = Span::mixed_site();
    if handler.is_wrong() {
        let body = reported();
        return quote!({ #body });
    }
    let call = Call::of(cx, handler);
    let name = &cx.target.name;
    let message = |parameter: &Parameter<'_>| {
        let ty = cx.outside(parameter.ty);
        let decode = cx.qualified_with(&ty, &ty, &quote!(Intercepted), quote!(), "from_broadcast");
        quote_spanned! {span=>
            match #decode(::core::clone::Clone::clone(__broadcast.payload())) {
                ::core::result::Result::Ok(__value) => __value,
                ::core::result::Result::Err(__error) => {
                    return #krate::__private::HandlerFuture::ready(
                        #krate::__private::undecodable(#name, __broadcast, &__error),
                    );
                }
            }
        }
    };
    let arguments = call.arguments(message, &quote!());
    let step = call.step(&quote_spanned!(span=> self), |value| {
        call.convert("IntoNoReply", quote!(), "into_no_reply", value)
    });
    let agrees = agreement(cx, handler);
    quote_spanned!(span=> { #agrees #arguments #step })
}

/// Returns the assertion that a handler's type belongs to its event. If the type depends on the
/// block's parameters, it is checked once they are known.
fn agreement(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> Option<TokenStream> {
    let (ty, event) = (cx.outside(handler.message()?), handler.literal.as_ref()?);
    let krate = cx.krate;
    let shown = crate::types::shown(handler.message()?);
    let (first, _) = ends(&ty);
    let taken = cx.qualified_with(&ty, &ty, &quote!(Intercepted), quote!(), "EVENT");
    let check = quote_spanned! {first=>
        if let ::core::option::Option::Some(__message) =
            #krate::__private::other_event(#event, #shown, #taken)
        {
            ::core::panic!("{}", __message.as_str());
        }
    };
    Some(if is_generic(&ty, cx.generics()) {
        quote_spanned!(first=> const { #check })
    } else {
        quote_spanned!(first=> const _: () = { #check };)
    })
}
