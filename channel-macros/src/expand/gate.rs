//! `Channel::before_join` and `Channel::before_handle_in`: the gates in source order, and the
//! declared rate limits.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{
    ExpandCtx,
    call::{Call, reported},
    under,
};
use crate::{args::ChannelArgs, model::Handler, role::Role};

pub(super) fn gates(cx: &ExpandCtx<'_>) -> TokenStream {
    let (join, handle_in) = (
        method(cx, Role::BeforeJoin),
        method(cx, Role::BeforeHandleIn),
    );
    quote!(#join #handle_in)
}

/// Returns `const RATE_LIMITS`, if there are any.
pub(super) fn rate_limits(cx: &ExpandCtx<'_>, args: &ChannelArgs) -> Option<TokenStream> {
    let all = args.rate_limits.iter();
    let all = all.map(|limit| limit.value(None));
    let each = cx.target.with(Role::HandleIn).flat_map(|handler| {
        let (cfgs, event) = (handler.cfgs(), handler.literal.as_ref());
        let limits = handler.rate_limits.iter();
        let limits = limits.map(move |limit| limit.value(event));
        limits.map(move |limit| quote!(#(#cfgs)* #limit))
    });
    let limits: Vec<_> = all.chain(each).collect();
    (!limits.is_empty()).then(|| {
        quote_spanned! {Span::mixed_site()=>
            const RATE_LIMITS: &'static [__rt::RateLimit] = &[#(#limits),*];
        }
    })
}

/// Returns the method of one role, if it has a gate.
fn method(cx: &ExpandCtx<'_>, role: Role) -> Option<TokenStream> {
    let span = Span::mixed_site();
    let gates: Vec<_> = cx.target.with(role).collect();
    let first_async = gates.iter().find(|gate| gate.is_async());
    let passed = quote_spanned!(span=> __rt::Gate::PASS);
    let body = match first_async {
        None => {
            let gates = gates.iter().map(|gate| attempt(cx, gate, false));
            quote_spanned!(span=> #(#gates)* __rt::HandlerFuture::ready(#passed))
        }
        // A future that is not `Send` is reported at the method's name.
        Some(first) => {
            let at = first.name().span();
            let gates = gates.iter().map(|gate| attempt(cx, gate, true));
            let future = super::respan(quote!(__rt::HandlerFuture), at);
            quote_spanned!(at=> #future::pending(async move { #(#gates)* #passed }))
        }
    };
    let (name, receiver) = match role {
        Role::BeforeJoin => (quote!(before_join), None),
        _ => (
            quote!(before_handle_in),
            Some(quote_spanned!(span=> &'a mut self,)),
        ),
    };
    (!gates.is_empty()).then(|| {
        quote_spanned! {span=>
            fn #name<'a>(
                #receiver
                __cx: &'a __rt::Context<'a, Self, __rt::role::#name>,
            ) -> __rt::HandlerFuture<'a, __rt::Gate> {
                #body
            }
        }
    })
}

/// Calls one gate, and returns from the method if it refuses.
fn attempt(cx: &ExpandCtx<'_>, gate: &Handler<'_>, in_async: bool) -> TokenStream {
    let span = Span::mixed_site();
    if gate.is_wrong() {
        let body = reported();
        return quote_spanned!(span=> #body;);
    }
    let call = Call::of(cx, gate);
    let arguments = call.arguments(|_| reported());
    let asked = call.call(&quote_spanned!(span=> self));
    let asked = match gate.is_async() {
        true => quote_spanned!(gate.name().span()=> #asked.await),
        false => asked,
    };
    let gate_of = call.convert("IntoGate", quote!(), "into_gate", asked);
    let refused = match in_async {
        true => quote_spanned!(span=> __gate),
        false => quote_spanned!(span=> __rt::HandlerFuture::ready(__gate)),
    };
    let attempt = quote_spanned! {span=>
        #arguments
        let __gate = #gate_of;
        if __gate.is_refused() {
            return #refused;
        }
    };
    under(&gate.cfgs(), attempt)
}
