//! `WritesTopic`: one impl for each `#[join]` whose pattern can be written from its captures.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse_quote;

use super::{ExpandCtx, call::capture};
use crate::{
    args::ChannelArgs,
    model::{Handler, captured},
    role::Role,
};

pub(super) fn topics(cx: &ExpandCtx<'_>, args: &ChannelArgs) -> TokenStream {
    let joins = cx.target.with(Role::Join).enumerate();
    let joins = joins.filter(|(_, join)| !join.is_wrong());
    joins
        .filter_map(|(at, join)| writes_topic(cx, args, at, join))
        .collect()
}

/// Implements `WritesTopic`. The type given for each capture is a parameter of the impl; the join's
/// place tells the impl apart from those of other joins.
fn writes_topic(
    cx: &ExpandCtx<'_>,
    args: &ChannelArgs,
    at: usize,
    join: &Handler<'_>,
) -> Option<TokenStream> {
    let span = Span::mixed_site();
    let (literals, types) = captures(cx, args, join)?;
    let reads = reads_topic(cx, at, join, &literals, &types);
    let given: Vec<_> = (0..types.len())
        .map(|at| format_ident!("__C{at}", span = span))
        .collect();
    let mut generics = cx.generics().clone();
    for (given, ty) in given.iter().zip(types) {
        let parameter = quote_spanned!(span=> #given: __rt::WriteCapture<#ty>);
        generics.params.push(parse_quote!(#parameter));
    }
    let (own, cfgs) = (cx.ty(), join.cfgs());
    let (impl_generics, _, bounds) = generics.split_for_impl();
    let captures = match given.as_slice() {
        [one] => quote!(#one),
        several => quote!((#(#several),*)),
    };
    let names: Vec<_> = (0..given.len())
        .map(|at| format_ident!("__capture_{at}", span = span))
        .collect();
    let pattern = match names.as_slice() {
        [one] => quote!(#one),
        several => quote!((#(#several),*)),
    };
    Some(quote_spanned! {span=>
        #reads

        #[automatically_derived]
        #(#cfgs)*
        impl #impl_generics __rt::WritesTopic<#captures, #at> for #own #bounds {
            const LITERALS: &'static [&'static __rt::str] = &[#(#literals),*];

            fn texts(#pattern: #captures) -> ::std::vec::Vec<::std::string::String> {
                ::std::vec![#(__rt::WriteCapture::text(&#names)),*]
            }
        }
    })
}

/// The reading side, as the join itself reads.
fn reads_topic(
    cx: &ExpandCtx<'_>,
    at: usize,
    join: &Handler<'_>,
    literals: &[String],
    types: &[TokenStream],
) -> TokenStream {
    let span = Span::mixed_site();
    let (own, cfgs) = (cx.ty(), join.cfgs());
    let (generics, _, bounds) = cx.generics().split_for_impl();
    let pattern = join.pattern.iter();
    let names: Vec<_> = pattern.flat_map(|pattern| pattern.names()).collect();
    let (texts, count) = (names.iter().map(|name| name.to_string()), types.len());
    let locals: Vec<_> = names.iter().map(|name| capture(name)).collect();
    let tuple = |each: Vec<TokenStream>| match each.as_slice() {
        [one] => quote!(#one),
        several => quote!((#(#several),*)),
    };
    let captures = tuple(types.to_vec());
    let read = locals.iter().zip(types).zip(texts);
    let read = read.map(|((local, ty), text)| {
        quote_spanned! {span=>
            match <#ty as __rt::Capture>::read(#local, #text) {
                ::core::result::Result::Ok(__value) => __value,
                ::core::result::Result::Err(__refusal) => {
                    return ::core::option::Option::Some(
                        ::core::result::Result::Err(__refusal),
                    );
                }
            }
        }
    });
    let read = tuple(read.collect());
    quote_spanned! {span=>
        #[automatically_derived]
        #(#cfgs)*
        impl #generics __rt::ReadsTopic<#at> for #own #bounds {
            type Captures = #captures;

            fn read(
                __topic: &__rt::str,
            ) -> ::core::option::Option<
                ::core::result::Result<Self::Captures, __rt::Refusal>,
            > {
                let [#(#locals),*] =
                    __rt::captures::<#count>(&[#(#literals),*], __topic)?;
                ::core::option::Option::Some(::core::result::Result::Ok(#read))
            }
        }
    }
}

/// The literals of a join's pattern and the types of its captures; `None` where it has a `*`, which
/// captures nothing. A join without a pattern has the channel's, where that is one topic.
fn captures(
    cx: &ExpandCtx<'_>,
    args: &ChannelArgs,
    join: &Handler<'_>,
) -> Option<(Vec<String>, Vec<TokenStream>)> {
    let Some(pattern) = &join.pattern else {
        let [topic] = args.topics.as_slice() else {
            return None;
        };
        let topic = topic.value();
        return (!topic.ends_with('*')).then(|| (vec![topic], Vec::new()));
    };
    let types = pattern.captures.iter().map(|name| {
        let name = name.as_ref()?;
        let mut parameters = join.parameters.iter();
        let parameter = parameters
            .find(|p| p.ident().and_then(|ident| captured(pattern, ident)) == Some(name))?;
        Some(cx.outside(parameter.ty))
    });
    Some((pattern.literals.clone(), types.collect::<Option<_>>()?))
}
