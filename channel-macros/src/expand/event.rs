//! `Channel::handle_in` and `Channel::handle_out`: a match over the events' names.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{
    ExpandCtx,
    call::{Call, alias, reported},
    is_generic,
};
use crate::diagnostics::say;
use crate::model::{Handler, Parameter};
use crate::role::Role;
use crate::types::ends;

pub(super) fn handle_in(cx: &ExpandCtx<'_>) -> Option<TokenStream> {
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
    if handlers().next().is_none() && uploads.is_none() {
        return None;
    }
    Some(quote_spanned! {span=>
        fn handle_in<'a>(
            &'a mut self,
            __cx: &'a __rt::Context<'a, Self, __rt::role::handle_in>,
            __payload: __rt::Payload,
        ) -> __rt::Result<__rt::HandlerFuture<'a, __rt::Answer>, __rt::Refusal> {
            #uploads
            match __cx.event() {
                #(#arms)*
                #(#others)*
                _ => __rt::Ok(__rt::HandlerFuture::ready(__rt::Answer::unknown_event())),
            }
        }
    })
}

fn answer(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> TokenStream {
    let span = Span::mixed_site();
    if handler.is_wrong() {
        let body = reported();
        return quote!({ #body });
    }
    let call = Call::of(cx, handler);
    let several = handler.owned().count() > 1;
    let payload = |parameter: &Parameter<'_>| {
        if !call.is_open(parameter) {
            let ty = cx.outside(parameter.ty);
            let decode = call.decode(parameter, &ty);
            return quote_spanned!(span=> #decode(__payload)?);
        }
        if several {
            let hold = call.message_path(parameter, "hold");
            quote_spanned!(span=> #hold(::core::clone::Clone::clone(&__payload))?)
        } else {
            let take = call.message_path(parameter, "take");
            quote_spanned!(span=> #take(__payload, __cx)?)
        }
    };
    let arguments = call.arguments(payload);
    let (aliases, complete) = (call.aliases(), several.then(|| call.complete()));
    let agrees = several.then(|| one_message(cx, handler));
    let step = call.step(&quote_spanned!(span=> self), |value| {
        match call.answers_when() {
            None => call.convert("IntoAnswer", quote!(), "into_answer", value),
            Some(when) => {
                let path = match handler.names_socket_ref() {
                    true => "IntoAnswerLater",
                    false => "IntoAnswerWhen",
                };
                call.convert(path, quote!(<#when>), "into_answer", value)
            }
        }
    });
    quote_spanned!(span=> { #aliases #agrees #arguments #complete __rt::Ok(#step) })
}

/// The assertion that of two owned parameters one is the message, and the other answers it.
fn one_message(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> Option<TokenStream> {
    let owned: Vec<_> = handler.owned().map(|owned| cx.outside(owned.ty)).collect();
    let [one, other] = &owned[..] else {
        return None;
    };
    let call = Call::of(cx, handler);
    let readable = handler.owned().all(|owned| call.is_open(owned));
    if !readable || is_generic(one, cx.generics()) || is_generic(other, cx.generics()) {
        return None;
    }
    let message = match handler.names_socket_ref() {
        true => say::socket_ref_twice(),
        false => say::two_messages(handler.name()),
    };
    let (at, _) = ends(other);
    let (one, other) = (alias(0, at), alias(1, at));
    Some(quote_spanned! {at=>
        const _: () = __rt::check_owned(__rt::same_kind::<#one, #other>(), #message);
    })
}

pub(super) fn handle_out(cx: &ExpandCtx<'_>) -> Option<TokenStream> {
    let span = Span::mixed_site();
    let arms = cx.target.with(Role::HandleOut).filter_map(|handler| {
        let (event, cfgs, body) = (handler.literal.as_ref()?, handler.cfgs(), flow(cx, handler));
        Some(quote_spanned!(span=> #(#cfgs)* #event => #body))
    });
    cx.target.with(Role::HandleOut).next()?;
    Some(quote_spanned! {span=>
        fn handle_out<'a>(
            &'a mut self,
            __cx: &'a __rt::Context<'a, Self, __rt::role::handle_out>,
            __broadcast: &'a __rt::Broadcast,
        ) -> __rt::Result<__rt::HandlerFuture<'a, __rt::NoReply>, __rt::PayloadError> {
            match __cx.event() {
                #(#arms)*
                _ => __rt::Ok(__rt::HandlerFuture::ready(__rt::NoReply::CONTINUE)),
            }
        }
    })
}

fn flow(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> TokenStream {
    let span = Span::mixed_site();
    if handler.is_wrong() {
        let body = reported();
        return quote!({ #body });
    }
    let call = Call::of(cx, handler);
    let message = |parameter: &Parameter<'_>| {
        let ty = cx.outside(parameter.ty);
        let decode = cx.qualified_with(&ty, &ty, &quote!(Intercepted), quote!(), "from_broadcast");
        quote_spanned!(span=> #decode(::core::clone::Clone::clone(__broadcast.payload()))?)
    };
    let arguments = call.arguments(message);
    let step = call.step(&quote_spanned!(span=> self), |value| {
        call.convert("IntoNoReply", quote!(), "into_no_reply", value)
    });
    let agrees = agreement(cx, handler);
    quote_spanned!(span=> { #agrees #arguments __rt::Ok(#step) })
}

/// Returns the assertion that a handler's type belongs to its event. If the type depends on the
/// block's parameters, it is checked once they are known.
fn agreement(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> Option<TokenStream> {
    let (ty, event) = (cx.outside(handler.message()?), handler.literal.as_ref()?);
    let shown = crate::types::shown(handler.message()?);
    let (first, _) = ends(&ty);
    let taken = cx.qualified_with(&ty, &ty, &quote!(Intercepted), quote!(), "EVENT");
    let check = quote_spanned!(first=> __rt::check_intercepted(#event, #shown, #taken));
    Some(if is_generic(&ty, cx.generics()) {
        quote_spanned!(first=> const { #check };)
    } else {
        quote_spanned!(first=> const _: () = #check;)
    })
}
