//! `impl Channel`, and the impls that link the channel to its socket and its events.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericParam, Generics, LitStr, parse_quote};

use super::{
    ExpandCtx, event, gate, is_generic, join::join, message::message, respan, terminate::terminate,
    upload,
};
use crate::{
    args::{ChannelArgs, Level, Time},
    model::{Handler, Target},
    role::Role,
    types::{distinct, ends, shown},
};

/// Returns everything that `#[channel]` generates besides the block.
pub(crate) fn channel(target: &Target<'_>, args: &ChannelArgs) -> TokenStream {
    let cx = &ExpandCtx {
        target,
        krate: &args.krate,
        proofs: !args.proofs.is_empty(),
    };
    let attributes = cx.attributes();
    let channel = implementation(cx, args);
    let belongs = belongs(cx, args);
    let pushes = pushes(cx, args);
    let proofs = proofs(cx, args);
    let uploads = upload::takes_uploads(cx);
    let messages = target.handlers.iter().enumerate();
    let messages = messages.filter(|(at, handler)| has_impl(handler, &target.handlers[..*at]));
    let messages = messages.filter_map(|(_, handler)| message(cx, handler));
    quote_spanned! {Span::mixed_site()=>
        const _: () = {
            #attributes
            #channel
            #belongs
            #pushes
            #proofs
            #uploads
            #(#messages)*
        };
    }
}

/// Returns true if a handler needs an impl for its message. A reported handler needs it too, so
/// that its senders cause no errors, unless the message itself is the mistake.
fn has_impl(handler: &Handler<'_>, above: &[Handler<'_>]) -> bool {
    let Some(message) = handler.message().filter(|_| handler.role.takes_message()) else {
        return false;
    };
    let repeats = |earlier: &Handler<'_>| {
        earlier.role == handler.role && earlier.message().map(shown) == Some(shown(message))
    };
    !handler.is_wrong() || !handler.knows_alone(message) && !above.iter().any(repeats)
}

fn implementation(cx: &ExpandCtx<'_>, args: &ChannelArgs) -> TokenStream {
    let krate = cx.krate;
    let (own, name, topics) = (cx.ty(), &cx.target.name, &args.topics);
    let socket = socket(cx, args).map_or_else(|| quote!(()), ToTokens::to_token_stream);
    let (intercepts, options, lint_attrs) = (intercepts(cx, args), options(args), cx.lint_attrs());
    let (join, terminate) = (join(cx), terminate(cx));
    let (handle_in, handle_out) = (event::handle_in(cx), event::handle_out(cx));
    let extension = upload::extension(cx);
    let (gates, rate_limits) = (gate::gates(cx), gate::rate_limits(cx, args));
    let items = quote_spanned! {Span::mixed_site()=>
        type Socket = #socket;
        type Extension = #extension;
        const NAME: &'static ::core::primitive::str = #name;
        const TOPICS: &'static [&'static ::core::primitive::str] = &[#(#topics),*];
        const INTERCEPTS: &'static [&'static ::core::primitive::str] = &[#intercepts];
        const OPTIONS: #krate::__private::ChannelOptions = #options;
        #rate_limits
        #gates
        #join
        #handle_in
        #handle_out
        #terminate
    };
    let implementation = cx.implement("Channel", quote!(), &own.to_token_stream(), items);
    quote_spanned!(Span::mixed_site()=> #lint_attrs #implementation)
}

/// Returns the intercepted events, each under the conditions of its handler.
fn intercepts(cx: &ExpandCtx<'_>, args: &ChannelArgs) -> TokenStream {
    let each = args.intercept.iter().map(|event| {
        let handles = |literal: &LitStr| literal.value() == event.value();
        let mut handlers = cx.target.with(Role::HandleOut);
        let handler = handlers.find(|handler| handler.literal.as_ref().is_some_and(handles));
        let cfgs = handler.map(|handler| handler.cfgs()).unwrap_or_default();
        quote!(#(#cfgs)* #event,)
    });
    each.collect()
}

fn options(args: &ChannelArgs) -> TokenStream {
    let krate = &args.krate;
    let level = |level: &Level| match level {
        Level::Off => quote!(#krate::__private::LogLevel::Off),
        Level::At(name) => {
            quote!(#krate::__private::LogLevel::At(#krate::__private::Level::#name))
        }
    };
    let log_join = args.log_join.as_ref().map(level);
    let log_join = log_join.map(|level| quote!(.log_join(#level)));
    let log_handle_in = args.log_handle_in.as_ref().map(level);
    let log_handle_in = log_handle_in.map(|level| quote!(.log_handle_in(#level)));
    let time = |time: &Time| match time {
        Time::Off => quote!(::core::option::Option::None),
        Time::Milliseconds(time) => quote!(::core::option::Option::Some(#time)),
    };
    let hibernate = args.hibernate_after.as_ref().map(time);
    let hibernate = hibernate.map(|time| quote!(.hibernate_after_ms(#time)));
    let shutdown = args.shutdown.map(|time| quote!(.shutdown_ms(#time)));
    quote!(#krate::__private::ChannelOptions::DEFAULT #log_join #log_handle_in #hibernate #shutdown)
}

/// Returns the socket, unless it was reported.
fn socket<'a>(cx: &ExpandCtx<'_>, args: &'a ChannelArgs) -> Option<&'a syn::Type> {
    let socket = args.socket.as_ref();
    socket.filter(|_| args.socket_parameter(cx.generics()).is_none())
}

/// Lends the socket and its state. The channel is the last of the user's types among the parameters
/// of `Provide`, so that the others may come from another crate. The state is named through the
/// socket, because only the compiler knows its type.
fn belongs(cx: &ExpandCtx<'_>, args: &ChannelArgs) -> Option<TokenStream> {
    let socket = socket(cx, args)?;
    let krate = cx.krate;
    let (at, _) = ends(socket);
    let view = respan(quote!(#krate::__private::SocketView), at);
    let state = quote_spanned!(at=> <#socket as #view>::State);
    let socket = lend(cx, &socket.to_token_stream(), "user");
    // At the span of the socket: if it is not a socket, all consequences are reported once.
    let state = respan(lend(cx, &state, "state"), at);
    Some(quote!(#socket #state))
}

/// Lends the result of a context's method to every role.
fn lend(cx: &ExpandCtx<'_>, lent: &TokenStream, method: &str) -> TokenStream {
    let (krate, own, lint_attrs) = (cx.krate, cx.ty(), cx.lint_attrs());
    let method = syn::Ident::new(method, Span::mixed_site());
    let any = with_parameter(cx.generics(), "__Role");
    let (generics, _, bounds) = any.split_for_impl();
    quote_spanned! {Span::mixed_site()=>
        #lint_attrs
        #[diagnostic::do_not_recommend]
        impl #generics #krate::__private::Provide<#lent, #own, __Role>
            for #krate::__private::Context<'_, #own, __Role>
            #bounds
        {
            fn provide(&self) -> &#lent {
                #krate::__private::Context::#method(self)
            }
        }
    }
}

/// Provides each proof to the handlers of clients' messages.
fn proofs(cx: &ExpandCtx<'_>, args: &ChannelArgs) -> TokenStream {
    let (krate, own, lint_attrs) = (cx.krate, cx.ty(), cx.lint_attrs());
    let (generics, _, bounds) = cx.generics().split_for_impl();
    let role = quote!(#krate::__private::role::handle_in);
    let each = distinct(&args.proofs).into_iter().map(|proof| {
        let proof = cx.outside(proof);
        let own_tokens = own.to_token_stream();
        let (at, _) = ends(&proof);
        let parameters = super::respan(quote!(<#own_tokens>), at);
        let path = quote!(Proof);
        let prove = cx.qualified_with(&proof, &proof, &path, parameters, "prove");
        quote_spanned! {Span::mixed_site()=>
            #lint_attrs
            impl #generics #krate::__private::Supply<#proof, #own, #role>
                for #krate::__private::Context<'_, #own, #role>
                #bounds
            {
                type Loan<'l> = #krate::__private::Proven<#proof> where Self: 'l;

                fn supply(
                    &self,
                    __channel: &#own,
                ) -> ::core::result::Result<Self::Loan<'_>, #krate::__private::Refusal> {
                    ::core::result::Result::map(
                        #prove(__channel, self.socket()),
                        #krate::__private::Proven,
                    )
                }
            }
        }
    });
    each.collect()
}

fn with_parameter(generics: &Generics, name: &str) -> Generics {
    let name = syn::Ident::new(name, Span::mixed_site());
    let mut generics = generics.clone();
    let parameter: GenericParam = parse_quote!(#name);
    generics.params.push(parameter);
    generics
}

/// Implements `PushedBy` for each event, and asserts that no two share a name.
fn pushes(cx: &ExpandCtx<'_>, args: &ChannelArgs) -> TokenStream {
    let krate = cx.krate;
    let (own, lint_attrs) = (cx.ty(), cx.lint_attrs());
    let mut out = TokenStream::new();
    let events = distinct(&args.pushes);
    for (at, event) in events.iter().enumerate() {
        let (event, name) = (cx.outside(event), shown(event));
        let (first, _) = ends(&event);
        let pushed = cx.implement("PushedBy", quote!(<#own>), &event, quote!());
        out.extend(quote!(#lint_attrs #pushed));
        if at == 0 || is_generic(&event, cx.generics()) {
            continue;
        }
        let earlier = events[..at].iter().map(|ty| (cx.outside(ty), shown(ty)));
        let earlier = earlier.filter(|(ty, _)| !is_generic(ty, cx.generics()));
        let (types, names): (Vec<_>, Vec<_>) = earlier.unzip();
        out.extend(quote_spanned! {first=>
            const _: () = {
                if let ::core::option::Option::Some(__message) = #krate::__private::same_event(
                    #name,
                    <#event as #krate::__private::Event>::NAME,
                    &[#((#names, <#types as #krate::__private::Event>::NAME)),*],
                ) {
                    ::core::panic!("{}", __message.as_str());
                }
            };
        });
    }
    out
}
