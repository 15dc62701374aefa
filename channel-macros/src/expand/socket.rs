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
    let krate = cx.krate;
    let (own, name, lint_attrs) = (cx.ty(), &target.name, cx.lint_attrs());
    let (attributes, connect, id) = (cx.attributes(), connect(cx), id(cx));
    let (checked, routes) = routes(cx, args);
    let state = match &args.state {
        Some(state) => cx.outside(state),
        None => quote!(#krate::__private::NoState),
    };
    let lent = args.state.as_ref().map(|_| lend_state(cx, &state));
    let items = quote_spanned! {Span::mixed_site()=>
        type State = #state;
        const NAME: &'static ::core::primitive::str = #name;
        #connect
        #id

        fn routes() -> ::std::vec::Vec<#krate::__private::Route<Self>> {
            #routes
        }
    };
    let implementation = cx.implement("ChannelSocket", quote!(), &own.to_token_stream(), items);
    quote_spanned! {Span::mixed_site()=>
        const _: () = {
            #attributes
            #checked

            #lint_attrs
            #implementation
            #lent
        };
    }
}

/// Lends the state to `#[connect]`.
fn lend_state(cx: &ExpandCtx<'_>, state: &TokenStream) -> TokenStream {
    let (krate, own, lint_attrs) = (cx.krate, cx.ty(), cx.lint_attrs());
    let (generics, _, bounds) = cx.generics().split_for_impl();
    quote_spanned! {Span::mixed_site()=>
        #lint_attrs
        #[diagnostic::do_not_recommend]
        impl #generics #krate::__private::Provide<#state, #own, #krate::__private::role::connect>
            for #krate::__private::ConnectContext<'_, #own>
            #bounds
        {
            fn provide(&self) -> &#state {
                self.state()
            }
        }
    }
}

fn connect(cx: &ExpandCtx<'_>) -> TokenStream {
    let krate = cx.krate;
    let span = Span::mixed_site();
    let refused = quote_spanned! {span=>
        #krate::__private::HandlerFuture::ready(::core::result::Result::Err(
            #krate::__private::Refusal::empty(),
        ))
    };
    let connects: Vec<_> = cx.target.with(Role::Connect).collect();
    let body = match connects.is_empty() {
        true => reported(),
        false => alternatives(&connects, |handler| accept(cx, handler), &refused),
    };
    quote_spanned! {span=>
        fn connect<'a>(
            __cx: &'a #krate::__private::ConnectContext<'a, Self>,
            __params: &'a #krate::__private::Params,
        ) -> #krate::__private::HandlerFuture<
            'a,
            ::core::result::Result<Self, #krate::__private::Refusal>,
        > {
            #body
        }
    }
}

fn accept(cx: &ExpandCtx<'_>, handler: &Handler<'_>) -> TokenStream {
    if handler.is_wrong() {
        return reported();
    }
    let krate = cx.krate;
    let span = Span::mixed_site();
    let call = Call::of(cx, handler);
    let params = |parameter: &Parameter<'_>| {
        let ty = cx.outside(parameter.ty);
        let decode = call.decode(parameter, &ty);
        quote_spanned! {span=>
            match #decode(__params) {
                ::core::result::Result::Ok(__value) => __value,
                ::core::result::Result::Err(__error) => {
                    return #krate::__private::HandlerFuture::ready(::core::result::Result::Err(
                        ::core::convert::Into::into(__error),
                    ));
                }
            }
        }
    };
    let arguments = call.arguments(params, &quote!());
    let own = cx.ty();
    let step = call.step(&quote!(), |value| {
        call.convert("IntoConnect", quote!(<#own>), "into_connect", value)
    });
    quote_spanned!(span=> #arguments #step)
}

fn id(cx: &ExpandCtx<'_>) -> TokenStream {
    let span = Span::mixed_site();
    let none = quote!(::core::option::Option::None);
    let ids: Vec<_> = cx.target.with(Role::Id).collect();
    let body = alternatives(&ids, |handler| name(cx, handler), &none);
    quote_spanned! {span=>
        fn id(&self) -> ::core::option::Option<::std::string::String> {
            #body
        }
    }
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
    let (krate, own) = (cx.krate, cx.ty());
    let channels = distinct(&args.channels);
    let routes = channels.iter().map(|channel| {
        let channel = cx.outside(channel);
        let (first, last) = ends(&channel);
        let open = quote_spanned!(first=> #krate::__private::Route::<#own>::to::<);
        let close = quote_spanned!(last=> >);
        quote_spanned!(first=> #open #channel #close ())
    });
    let mut types = channels.iter().map(ToTokens::to_token_stream);
    if is_generic(&own.to_token_stream(), cx.generics())
        || types.any(|ty| is_generic(&ty, cx.generics()))
        || channels.is_empty()
    {
        return (quote!(), quote!(::std::vec![#(#routes),*]));
    }
    let count = channels.len();
    let checks = channels.iter().enumerate().map(|(at, channel)| {
        let (first, _) = ends(channel);
        quote_spanned! {first=>
            const _: () = {
                if let ::core::option::Option::Some(__message) =
                    #krate::__private::wrong_route(&__ROUTES, #at)
                {
                    ::core::panic!("{}", __message.as_str());
                }
            };
        }
    });
    let checked = quote! {
        const __ROUTES: [#krate::__private::Route<#own>; #count] = [#(#routes),*];
        #(#checks)*
    };
    (checked, quote!(::std::vec::Vec::from(__ROUTES)))
}
