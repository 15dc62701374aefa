//! `#[derive(Event)]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Data, DeriveInput, Fields, parse_quote};

use crate::{
    args::EventArgs,
    check,
    diagnostics::{Diagnostics, say},
};

/// The impls, or the errors.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let generated = match syn::parse2::<DeriveInput>(input) {
        Ok(input) => event(&input, &mut diagnostics),
        Err(error) => {
            diagnostics.absorb(error);
            TokenStream::new()
        }
    };
    let errors = diagnostics.into_tokens();
    quote!(#generated #errors)
}

fn event(input: &DeriveInput, diagnostics: &mut Diagnostics) -> TokenStream {
    let mut attributes = input.attrs.iter().filter(|a| a.path().is_ident("event"));
    let Some(attribute) = attributes.next() else {
        diagnostics.on(&input.ident, say::event_unnamed());
        return implementation(input, &EventArgs::parse(quote!(), diagnostics));
    };
    if let Some(second) = attributes.next() {
        diagnostics.on(second, say::event_attribute_twice());
    }
    let arguments = match &attribute.meta {
        syn::Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    let unread = diagnostics.len();
    let args = EventArgs::parse(arguments, diagnostics);
    match &args.name {
        Some(name) => {
            if let Some(message) = check::event_name(&name.value()) {
                diagnostics.on(name, message);
            }
        }
        None if diagnostics.len() == unread => diagnostics.on(attribute, say::event_unnamed()),
        None => {}
    }
    if let Data::Union(union) = &input.data {
        diagnostics.on(union.union_token, say::event_union());
    } else if let Some(binary) = &args.binary
        && !is_bytes(&input.data)
    {
        diagnostics.on(binary, say::event_binary_shape());
    }
    implementation(input, &args)
}

fn is_bytes(data: &Data) -> bool {
    match data {
        Data::Struct(data) => matches!(&data.fields, Fields::Unnamed(f) if f.unnamed.len() == 1),
        _ => false,
    }
}

fn implementation(input: &DeriveInput, args: &EventArgs) -> TokenStream {
    let krate = &args.krate;
    let ident = &input.ident;
    let span = Span::mixed_site();
    let name = args
        .name
        .as_ref()
        .map_or_else(String::new, syn::LitStr::value);
    let binary = args.binary.is_some() && is_bytes(&input.data);
    let mut generics = input.generics.clone();
    if generics.type_params().next().is_some() {
        let bounds = &mut generics.make_where_clause().predicates;
        let serialize = (!binary).then(|| quote!(#krate::__private::Serialize +));
        let send = quote!(::core::marker::Send + ::core::marker::Sync);
        bounds.push(parse_quote!(Self: #serialize #send));
    }
    let (generics, arguments, bounds) = generics.split_for_impl();
    // On the name, so that a missing `Serialize` is reported there.
    let at = crate::expand::located(ident.span());
    let payload = if binary {
        quote_spanned!(span=> ::core::result::Result::Ok(#krate::__private::bytes(&self.0)))
    } else {
        quote_spanned!(at=> #krate::__private::Payload::json(self))
    };
    let decode = binary.then(|| {
        quote_spanned! {span=>
            #[automatically_derived]
            impl #generics #krate::__private::FromPayload for #ident #arguments #bounds {
                fn from_payload(
                    payload: #krate::__private::Payload,
                ) -> ::core::result::Result<Self, #krate::__private::PayloadError> {
                    ::core::result::Result::map(
                        <#krate::__private::Binary as #krate::__private::FromPayload>::from_payload(
                            payload,
                        ),
                        |binary| #ident(::core::convert::From::from(binary.0)),
                    )
                }
            }
        }
    });
    quote_spanned! {span=>
        const _: () = {
            #[automatically_derived]
            impl #generics #krate::__private::Event for #ident #arguments #bounds {
                const NAME: &'static ::core::primitive::str = #name;

                fn to_payload(&self) -> ::core::result::Result<
                    #krate::__private::Payload,
                    #krate::__private::Error,
                > {
                    #payload
                }
            }

            #decode
        };
    }
}
