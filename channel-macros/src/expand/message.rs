//! `InfoFor`, `CastFor` and `CallFor`: one impl per message type.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};

use super::{
    ExpandCtx,
    call::{Call, reported},
};
use crate::{
    model::{Handler, Parameter},
    role::Role,
    types::borrows,
};

pub(super) fn message(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> Option<TokenStream> {
    let span = Span::mixed_site();
    let call = Call::of(cx, handler);
    let own = cx.ty();
    let message = cx.outside(handler.message()?);
    let path = match handler.role {
        Role::HandleInfo => "InfoFor",
        Role::HandleCast => "CastFor",
        _ => "CallFor",
    };
    let body = body(cx, handler);
    let (reply, caller) = match handler.role {
        Role::HandleCall => {
            let reply = reply(cx, handler);
            (
                Some(quote_spanned!(span=> type Reply = #reply;)),
                Some(quote_spanned!(span=> __caller: __rt::Caller<Self::Reply>,)),
            )
        }
        _ => (None, None),
    };
    let role = call.role();
    let cfgs = handler.cfgs();
    let items = quote_spanned! {span=>
        #reply

        fn handle<'a>(
            self,
            __channel: &'a mut #own,
            __cx: &'a __rt::Context<'a, #own, #role>,
            #caller
        ) -> __rt::HandlerFuture<'a, __rt::NoReply> {
            #body
        }
    };
    // At the span of the message, so that two handlers of one message are reported there.
    let implementation = cx.implement(path, quote!(<#own>), &message, items);
    Some(quote_spanned!(span=> #(#cfgs)* #implementation))
}

/// Returns the type of the reply: that of the `Caller`, or the method's return type.
fn reply(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> TokenStream {
    if let Some(caller) = handler.caller() {
        let caller = cx.outside(caller);
        let path = quote!(OwnedCaller);
        return cx.qualified_with(&caller, &caller, &path, quote!(), "Reply");
    }
    // A type that borrows was reported.
    let ty = handler.output();
    let ty = ty.filter(|ty| borrows(ty.to_token_stream()).is_none());
    ty.map_or_else(|| quote!(()), |ty| cx.outside(ty))
}

fn body(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> TokenStream {
    if handler.is_wrong() {
        return reported();
    }
    let span = Span::mixed_site();
    let call = Call::of(cx, handler);
    let message = |_: &Parameter<'_>| quote_spanned!(span=> self);
    let arguments = call.arguments(message);
    let channel = quote_spanned!(span=> __channel);
    let returns_reply = handler.role == Role::HandleCall && handler.caller().is_none();
    let step = call.step(&channel, |value| {
        if returns_reply {
            quote_spanned! {span=> {
                __caller.reply(#value);
                __rt::NoReply::CONTINUE
            }}
        } else {
            call.convert("IntoNoReply", quote!(), "into_no_reply", value)
        }
    });
    quote_spanned!(span=> #arguments #step)
}
