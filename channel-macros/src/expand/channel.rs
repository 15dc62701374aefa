//! `impl Channel`, and the impls that link the channel to its socket and its events.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{LitStr, parse_quote};

use super::{
    ExpandCtx, event, gate, is_generic, join::join, message::message, respan, terminate::terminate,
    topic, upload,
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
    let channel = implementation(cx, args);
    let belongs = belongs(cx, args);
    let shared = shared(args).map(|shared| lend(cx, &shared, "shared", "SinceJoin"));
    let pushes = pushes(cx, args);
    let proofs = proofs(cx, args);
    let uploads = upload::takes_uploads(cx);
    let topics = topic::topics(cx, args);
    let messages = target.handlers.iter().enumerate();
    let messages = messages.filter(|(at, handler)| has_impl(handler, &target.handlers[..*at]));
    let messages = messages.filter_map(|(_, handler)| message(cx, handler));
    cx.scope(quote!(
        #channel #belongs #shared #pushes #proofs #uploads #topics #(#messages)*
    ))
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
    let (own, name, topics) = (cx.ty(), &cx.target.name, &args.topics);
    let socket = socket(cx, args).map_or_else(|| quote!(()), ToTokens::to_token_stream);
    let (intercepts, options) = (intercepts(cx, args), options(args));
    let (join, terminate) = (join(cx), terminate(cx));
    let (handle_in, handle_out) = (event::handle_in(cx), event::handle_out(cx));
    let extension = upload::extension(cx);
    let (gates, rate_limits) = (gate::gates(cx), gate::rate_limits(cx, args));
    let shared = shared(args).unwrap_or_else(|| quote!(()));
    let items = quote_spanned! {Span::mixed_site()=>
        type Socket = #socket;
        type Extension = #extension;
        type Shared = #shared;
        const NAME: &'static __rt::str = #name;
        const TOPICS: &'static [&'static __rt::str] = &[#(#topics),*];
        #intercepts
        #options
        #rate_limits
        #gates
        #join
        #handle_in
        #handle_out
        #terminate
    };
    cx.implement("Channel", quote!(), &own.to_token_stream(), items)
}

/// The intercepted events, each under the conditions of its handler.
fn intercepts(cx: &ExpandCtx<'_>, args: &ChannelArgs) -> Option<TokenStream> {
    args.intercept.first()?;
    let each = args.intercept.iter().map(|event| {
        let handles = |literal: &LitStr| literal.value() == event.value();
        let mut handlers = cx.target.with(Role::HandleOut);
        let handler = handlers.find(|handler| handler.literal.as_ref().is_some_and(handles));
        let cfgs = handler.map(|handler| handler.cfgs()).unwrap_or_default();
        quote!(#(#cfgs)* #event,)
    });
    Some(quote_spanned! {Span::mixed_site()=>
        const INTERCEPTS: &'static [&'static __rt::str] = &[#(#each)*];
    })
}

fn options(args: &ChannelArgs) -> Option<TokenStream> {
    let level = |level: &Level| match level {
        Level::Off => quote!(__rt::LogLevel::Off),
        Level::At(name) => {
            quote!(__rt::LogLevel::At(__rt::Level::#name))
        }
    };
    let log_join = args.log_join.as_ref().map(level);
    let log_join = log_join.map(|level| quote!(.log_join(#level)));
    let log_handle_in = args.log_handle_in.as_ref().map(level);
    let log_handle_in = log_handle_in.map(|level| quote!(.log_handle_in(#level)));
    let time = |time: &Time| match time {
        Time::Off => quote!(__rt::None),
        Time::Milliseconds(time) => quote!(__rt::Some(#time)),
    };
    let hibernate = args.hibernate_after.as_ref().map(time);
    let hibernate = hibernate.map(|time| quote!(.hibernate_after_ms(#time)));
    let shutdown = args.shutdown.map(|time| quote!(.shutdown_ms(#time)));
    let given = quote!(#log_join #log_handle_in #hibernate #shutdown);
    (!given.is_empty()).then(|| {
        quote_spanned! {Span::mixed_site()=>
            const OPTIONS: __rt::ChannelOptions = __rt::ChannelOptions::DEFAULT #given;
        }
    })
}

/// Returns the socket, unless it was reported.
fn socket<'a>(cx: &ExpandCtx<'_>, args: &'a ChannelArgs) -> Option<&'a syn::Type> {
    let socket = args.socket.as_ref();
    socket.filter(|_| args.socket_parameter(cx.generics()).is_none())
}

/// Returns the type of what the channels of a topic share, on the tokens of its type.
fn shared(args: &ChannelArgs) -> Option<TokenStream> {
    let ty = args.shared.as_ref()?;
    let (at, _) = ends(ty);
    let shared = respan(quote!(__rt::Shared), at);
    Some(quote_spanned!(at=> #shared<#ty>))
}

/// Lends the socket and its state. The channel is the last of the user's types among the parameters
/// of `Provide`, so that the others may come from another crate. The state is named through the
/// socket, because only the compiler knows its type.
fn belongs(cx: &ExpandCtx<'_>, args: &ChannelArgs) -> Option<TokenStream> {
    let socket = socket(cx, args)?;
    let (at, _) = ends(socket);
    let view = respan(quote!(__rt::SocketView), at);
    let state = quote_spanned!(at=> <#socket as #view>::State);
    let socket = lend(cx, &socket.to_token_stream(), "user", "Any");
    // At the span of the socket: if it is not a socket, all consequences are reported once.
    let state = respan(lend(cx, &state, "state", "Any"), at);
    Some(quote!(#socket #state))
}

/// Lends the result of a context's method to some roles.
fn lend(cx: &ExpandCtx<'_>, lent: &TokenStream, method: &str, roles: &str) -> TokenStream {
    let own = cx.ty();
    let method = syn::Ident::new(method, Span::mixed_site());
    let roles = syn::Ident::new(roles, Span::mixed_site());
    let mut generics = cx.generics().clone();
    let role = quote_spanned!(Span::mixed_site()=> __Role: __rt::role::#roles);
    generics.params.push(parse_quote!(#role));
    let (generics, _, bounds) = generics.split_for_impl();
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl #generics __rt::Provide<#lent, #own, __Role>
            for __rt::Context<'_, #own, __Role>
            #bounds
        {
            fn provide(&self) -> &#lent {
                __rt::Context::#method(self)
            }
        }
    }
}

/// Provides each proof to the handlers of clients' messages.
fn proofs(cx: &ExpandCtx<'_>, args: &ChannelArgs) -> TokenStream {
    let own = cx.ty();
    let (generics, _, bounds) = cx.generics().split_for_impl();
    let role = quote!(__rt::role::handle_in);
    let each = distinct(&args.proofs).into_iter().map(|proof| {
        let proof = cx.outside(proof);
        let own_tokens = own.to_token_stream();
        let (at, _) = ends(&proof);
        let parameters = super::respan(quote!(<#own_tokens>), at);
        let path = quote!(Proof);
        let prove = cx.qualified_with(&proof, &proof, &path, parameters, "prove");
        quote_spanned! {Span::mixed_site()=>
            #[automatically_derived]
            impl #generics __rt::Supply<#proof, #own, #role>
                for __rt::Context<'_, #own, #role>
                #bounds
            {
                type Loan<'l> = __rt::Proven<#proof> where Self: 'l;

                fn supply(
                    &self,
                    __channel: &#own,
                ) -> __rt::Result<Self::Loan<'_>, __rt::Refusal> {
                    __rt::Result::map(
                        #prove(__channel, self.socket()),
                        __rt::Proven,
                    )
                }
            }
        }
    });
    each.collect()
}

/// Implements `PushedBy` for each event, and asserts that no two share a name.
fn pushes(cx: &ExpandCtx<'_>, args: &ChannelArgs) -> TokenStream {
    let own = cx.ty();
    let mut out = TokenStream::new();
    let events = distinct(&args.pushes);
    for (at, event) in events.iter().enumerate() {
        let (event, name) = (cx.outside(event), shown(event));
        let (first, _) = ends(&event);
        let pushed = cx.implement("PushedBy", quote!(<#own>), &event, quote!());
        out.extend(pushed);
        if at == 0 || is_generic(&event, cx.generics()) {
            continue;
        }
        let earlier = events[..at].iter().map(|ty| (cx.outside(ty), shown(ty)));
        let earlier = earlier.filter(|(ty, _)| !is_generic(ty, cx.generics()));
        let (types, names): (Vec<_>, Vec<_>) = earlier.unzip();
        out.extend(quote_spanned! {first=>
            const _: () = __rt::check_event(
                #name,
                <#event as __rt::Event>::NAME,
                &[#((#names, <#types as __rt::Event>::NAME)),*],
            );
        });
    }
    out
}
