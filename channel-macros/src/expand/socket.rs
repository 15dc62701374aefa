//! `impl ChannelSocket`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};

use super::{
    ExpandCtx, alternatives,
    call::{Call, reported},
    is_generic,
};
use crate::{
    args::SocketArgs,
    model::{Handler, Parameter, Target},
    role::Role,
    types::{distinct, ends},
};

/// Returns everything that `#[socket]` generates besides the block.
pub(crate) fn socket(target: &Target<'_>, args: &SocketArgs) -> TokenStream {
    let cx = &ExpandCtx {
        target,
        krate: &args.krate,
        proofs: false,
    };
    let (own, name) = (cx.ty(), &target.name);
    let (connect, id) = (connect(cx), id(cx));
    let (checked, routes) = routes(cx, args);
    let state = match &args.state {
        Some(state) => cx.outside(state),
        None => quote!(__rt::NoState),
    };
    let lent = args.state.as_ref().map(|_| lend_state(cx, &state));
    let items = quote_spanned! {Span::mixed_site()=>
        type State = #state;
        const NAME: &'static __rt::str = #name;
        #connect
        #id

        fn routes() -> __rt::Vec<__rt::Route<Self>> {
            #routes
        }
    };
    let implementation = cx.implement("ChannelSocket", quote!(), &own.to_token_stream(), items);
    cx.scope(quote!(#checked #implementation #lent))
}

/// Lends the state to `#[connect]`.
fn lend_state(cx: &ExpandCtx<'_>, state: &TokenStream) -> TokenStream {
    let own = cx.ty();
    let (generics, _, bounds) = cx.generics().split_for_impl();
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl #generics __rt::Provide<#state, #own, __rt::role::connect>
            for __rt::ConnectContext<'_, #own>
            #bounds
        {
            fn provide(&self) -> &#state {
                self.state()
            }
        }
    }
}

fn connect(cx: &ExpandCtx<'_>) -> TokenStream {
    let span = Span::mixed_site();
    let refused = quote_spanned! {span=>
        __rt::Err(__rt::Refusal::empty())
    };
    let connects: Vec<_> = cx.target.with(Role::Connect).collect();
    let body = match connects.is_empty() {
        true => reported(),
        false => alternatives(&connects, |handler| accept(cx, handler), &refused),
    };
    quote_spanned! {span=>
        fn connect<'a>(
            __cx: &'a __rt::ConnectContext<'a, Self>,
            __params: &'a __rt::Params,
        ) -> __rt::Result<
            __rt::HandlerFuture<'a, __rt::Result<Self, __rt::Refusal>>,
            __rt::Refusal,
        > {
            #body
        }
    }
}

fn accept(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> TokenStream {
    if handler.is_wrong() {
        return reported();
    }
    let span = Span::mixed_site();
    let call = Call::of(cx, handler);
    let params = |parameter: &Parameter<'_>| {
        let ty = cx.outside(parameter.ty);
        let decode = call.decode(parameter, &ty);
        quote_spanned!(span=> #decode(__params)?)
    };
    let arguments = call.arguments(params);
    let own = cx.ty();
    let step = call.step(&quote!(), |value| {
        call.convert("IntoConnect", quote!(<#own>), "into_connect", value)
    });
    quote_spanned!(span=> #arguments __rt::Ok(#step))
}

fn id(cx: &ExpandCtx<'_>) -> Option<TokenStream> {
    let span = Span::mixed_site();
    let none = quote!(__rt::None);
    let ids: Vec<_> = cx.target.with(Role::Id).collect();
    let body = alternatives(&ids, |handler| name(cx, handler), &none);
    ids.first()?;
    Some(quote_spanned! {span=>
        fn id(&self) -> __rt::Option<__rt::String> {
            #body
        }
    })
}

fn name(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> TokenStream {
    if handler.is_wrong() {
        return reported();
    }
    let call = Call::of(cx, handler);
    let id = call.call(&quote_spanned!(Span::mixed_site()=> self));
    call.convert("IntoSocketId", quote!(), "into_socket_id", id)
}

/// Returns the routes, and the assertion that each can be reached and is complete. Each route is
/// generated once, so that a channel of another socket is reported once.
fn routes(cx: &ExpandCtx<'_>, args: &SocketArgs) -> (TokenStream, TokenStream) {
    let own = cx.ty();
    let channels = distinct(&args.channels);
    let routes = channels.iter().map(|channel| {
        let channel = cx.outside(channel);
        let (first, last) = ends(&channel);
        let open = quote_spanned!(first=> __rt::Route::<#own>::to::<);
        let close = quote_spanned!(last=> >);
        quote_spanned!(first=> #open #channel #close ())
    });
    let mut types = channels.iter().map(ToTokens::to_token_stream);
    if is_generic(&own.to_token_stream(), cx.generics())
        || types.any(|ty| is_generic(&ty, cx.generics()))
        || channels.is_empty()
    {
        return (quote!(), quote!(__rt::vec![#(#routes),*]));
    }
    let count = channels.len();
    let checks = channels.iter().enumerate().map(|(at, channel)| {
        let (first, _) = ends(channel);
        quote_spanned!(first=> const _: () = __rt::check_route(&__ROUTES, #at);)
    });
    let checked = quote! {
        const __ROUTES: [__rt::Route<#own>; #count] = [#(#routes),*];
        #(#checks)*
    };
    (checked, quote!(__rt::Vec::from(__ROUTES)))
}
