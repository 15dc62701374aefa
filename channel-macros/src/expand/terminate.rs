//! `Channel::terminate`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{
    Site, alternatives,
    call::{Call, reported},
};
use crate::model::{Handler, Receiver, Role};

pub(super) fn terminate(site: &Site<'_>) -> TokenStream {
    let krate = site.krate;
    let span = Span::mixed_site();
    let nothing = quote_spanned!(span=> #krate::__private::Step::ready(()));
    let handlers: Vec<_> = site.subject.with(Role::Terminate).collect();
    let body = alternatives(&handlers, |handler| last(site, handler), &nothing);
    quote_spanned! {span=>
        fn terminate<'a>(
            self,
            __cx: &'a #krate::__private::Context<'a, Self, #krate::__private::role::terminate>,
            __reason: #krate::__private::Reason,
        ) -> #krate::__private::Step<'a, ()> {
            #body
        }
    }
}

fn last(site: &Site<'_>, handler: &Handler<'_>) -> TokenStream {
    if handler.is_wrong() {
        return reported();
    }
    let span = Span::mixed_site();
    let call = Call::of(site, handler);
    let arguments = call.arguments(|_| quote!(), &quote!());
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
