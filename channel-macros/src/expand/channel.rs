//! `impl Channel`, and what the channel is to its socket and its events.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericParam, Generics, LitStr, parse_quote};

use super::{Site, errand::errand, event, is_generic, join::join, terminate::terminate, upload};
use crate::{
    args::{ChannelArgs, Level, Time},
    model::{Handler, Role, Subject},
    types::{distinct, ends, shown},
};

/// All that `#[channel]` generates beside the block.
pub(crate) fn channel(subject: &Subject<'_>, args: &ChannelArgs) -> TokenStream {
    let site = &Site {
        subject,
        krate: &args.krate,
    };
    let attributes = site.attributes();
    let channel = implementation(site, args);
    let belongs = belongs(site, args);
    let pushes = pushes(site, args);
    let uploads = upload::takes_uploads(site);
    let errands = subject.handlers.iter().enumerate();
    let errands = errands.filter(|(at, handler)| is_errand(handler, &subject.handlers[..*at]));
    let errands = errands.filter_map(|(_, handler)| errand(site, handler));
    quote_spanned! {Span::mixed_site()=>
        const _: () = {
            #attributes
            #channel
            #belongs
            #pushes
            #uploads
            #(#errands)*
        };
    }
}

/// Whether a handler has a message to implement a trait for. One that was reported has it too,
/// lest the message's senders be blamed; but not where the message itself is the mistake.
fn is_errand(handler: &Handler<'_>, above: &[Handler<'_>]) -> bool {
    let Some(message) = handler.message().filter(|_| handler.role.is_errand()) else {
        return false;
    };
    let repeats = |earlier: &Handler<'_>| {
        earlier.role == handler.role && earlier.message().map(shown) == Some(shown(message))
    };
    !handler.is_wrong() || !handler.knows_alone(message) && !above.iter().any(repeats)
}

fn implementation(site: &Site<'_>, args: &ChannelArgs) -> TokenStream {
    let krate = site.krate;
    let (own, name, topics) = (site.ty(), &site.subject.name, &args.topics);
    let socket = socket(site, args).map_or_else(|| quote!(()), ToTokens::to_token_stream);
    let (intercepts, options, quiet) = (intercepts(site, args), options(args), site.quiet());
    let (join, terminate) = (join(site), terminate(site));
    let (handle_in, handle_out) = (event::handle_in(site), event::handle_out(site));
    let extension = upload::extension(site);
    let items = quote_spanned! {Span::mixed_site()=>
        type Socket = #socket;
        type Extension = #extension;
        const NAME: &'static ::core::primitive::str = #name;
        const TOPICS: &'static [&'static ::core::primitive::str] = &[#(#topics),*];
        const INTERCEPTS: &'static [&'static ::core::primitive::str] = &[#intercepts];
        const OPTIONS: #krate::__private::ChannelOptions = #options;
        #join
        #handle_in
        #handle_out
        #terminate
    };
    let implementation = site.implement("Channel", quote!(), &own.to_token_stream(), items);
    quote_spanned!(Span::mixed_site()=> #quiet #implementation)
}

/// The intercepted events, each under the conditions of its handler.
fn intercepts(site: &Site<'_>, args: &ChannelArgs) -> TokenStream {
    let each = args.intercept.iter().map(|event| {
        let handles = |literal: &LitStr| literal.value() == event.value();
        let mut handlers = site.subject.with(Role::HandleOut);
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

/// The socket, unless it was reported.
fn socket<'a>(site: &Site<'_>, args: &'a ChannelArgs) -> Option<&'a syn::Type> {
    let socket = args.socket.as_ref();
    socket.filter(|_| args.socket_parameter(site.generics()).is_none())
}

/// The socket as something to lend. The channel is the last parameter of `Lend` that is the user's
/// own, which lets the socket come from another crate.
fn belongs(site: &Site<'_>, args: &ChannelArgs) -> Option<TokenStream> {
    let socket = socket(site, args)?;
    let (krate, own, quiet) = (site.krate, site.ty(), site.quiet());
    let any = with_parameter(site.generics(), "__Role");
    let (generics, _, bounds) = any.split_for_impl();
    Some(quote_spanned! {Span::mixed_site()=>
        #quiet
        impl #generics #krate::__private::Lend<#socket, #own, __Role>
            for #krate::__private::Context<'_, #own, __Role>
            #bounds
        {
            fn lend(&self) -> &#socket {
                self.user()
            }
        }
    })
}

fn with_parameter(generics: &Generics, name: &str) -> Generics {
    let name = syn::Ident::new(name, Span::mixed_site());
    let mut generics = generics.clone();
    let parameter: GenericParam = parse_quote!(#name);
    generics.params.push(parameter);
    generics
}

/// `PushedBy` for each event, and the assertion that no two share a name.
fn pushes(site: &Site<'_>, args: &ChannelArgs) -> TokenStream {
    let krate = site.krate;
    let (own, quiet) = (site.ty(), site.quiet());
    let mut out = TokenStream::new();
    let events = distinct(&args.pushes);
    for (at, event) in events.iter().enumerate() {
        let (event, name) = (site.outside(event), shown(event));
        let (first, _) = ends(&event);
        let pushed = site.implement("PushedBy", quote!(<#own>), &event, quote!());
        out.extend(quote!(#quiet #pushed));
        if at == 0 || is_generic(&event, site.generics()) {
            continue;
        }
        let earlier = events[..at].iter().map(|ty| (site.outside(ty), shown(ty)));
        let earlier = earlier.filter(|(ty, _)| !is_generic(ty, site.generics()));
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
