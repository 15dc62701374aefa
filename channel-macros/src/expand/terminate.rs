//! `Channel::terminate`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{
    ExpandCtx, alternatives,
    call::{Call, reported},
};
use crate::model::{Handler, Receiver};
use crate::role::Role;

pub(super) fn terminate(cx: &ExpandCtx<'_>) -> Option<TokenStream> {
    let span = Span::mixed_site();
    let nothing = quote_spanned!(span=> __rt::HandlerFuture::ready(()));
    let handlers: Vec<_> = cx.target.with(Role::Terminate).collect();
    let body = alternatives(&handlers, |handler| last(cx, handler), &nothing);
    handlers.first()?;
    Some(quote_spanned! {span=>
        fn terminate<'a>(
            self,
            __cx: &'a __rt::Context<'a, Self, __rt::role::terminate>,
            __reason: __rt::Reason,
        ) -> __rt::HandlerFuture<'a, ()> {
            #body
        }
    })
}

fn last(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> TokenStream {
    if handler.is_wrong() {
        return reported();
    }
    let span = Span::mixed_site();
    let call = Call::of(cx, handler);
    let arguments = call.arguments(|parameter| {
        let ty = cx.outside(parameter.ty);
        let path = quote!(FromReason);
        let take = cx.qualified_with(&ty, &ty, &path, quote!(), "from_reason");
        quote_spanned!(span=> #take(__reason))
    });
    let borrows = handler.receiver == Receiver::Borrowed;
    // An async method that borrows the channel needs it to live in the future.
    let (owner, receiver) = if borrows {
        let owner = quote_spanned!(span=> let mut __channel = self;);
        (owner, quote_spanned!(span=> &mut __channel))
    } else {
        (quote!(), quote_spanned!(span=> self))
    };
    let step = call.step(&receiver, |value| quote_spanned!(span=> #value));
    quote_spanned!(span=> #arguments #owner #step)
}
