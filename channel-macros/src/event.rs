//! `#[derive(Event)]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Data, DeriveInput, Fields, Generics, Ident, LitStr, Type, parse_quote};

use crate::{
    args::EventArgs,
    check,
    diagnostics::{Diagnostics, say},
    expand::respan,
    types::ends,
};

/// Returns the impls, or the errors.
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
        return implementation(input, &EventArgs::parse(quote!(), diagnostics), false);
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
        && field(&input.data).is_none()
    {
        diagnostics.on(binary, say::event_binary_shape());
    }
    implementation(input, &args, diagnostics.len() == 0)
}

/// Returns the only field of a binary event.
fn field(data: &Data) -> Option<&Type> {
    match data {
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Some(&fields.unnamed[0].ty),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the impls. A faulty event still gets them, so that only its own mistake is reported, and
/// not a missing impl wherever it is pushed.
fn implementation(input: &DeriveInput, args: &EventArgs, right: bool) -> TokenStream {
    let krate = &args.krate;
    let ident = &input.ident;
    let span = Span::mixed_site();
    let name = args.name.as_ref().map_or_else(String::new, LitStr::value);
    let bytes = field(&input.data).filter(|_| right && args.binary.is_some());
    let generics = bounded(&input.generics, bytes.is_some());
    let (generics, arguments, bounds) = generics.split_for_impl();
    let payload = match bytes {
        _ if !right => quote!(::core::unreachable!()),
        Some(bytes) => {
            let method = of_bytes(bytes, "to_payload");
            quote_spanned!(span=> __rt::Ok(#method(&self.0)))
        }
        None => {
            // On the name, so that a missing `Serialize` is reported there.
            let json = quote!(<Self as __rt::Json>::payload);
            let json = respan(json, ident.span());
            quote_spanned!(span=> #json(self))
        }
    };
    let decode = bytes.map(|bytes| {
        let method = of_bytes(bytes, "from_payload");
        quote_spanned! {span=>
            #[automatically_derived]
            impl #generics __rt::FromPayload for #ident #arguments #bounds {
                fn from_payload(
                    payload: __rt::Payload,
                ) -> __rt::Result<Self, __rt::PayloadError> {
                    __rt::Result::map(#method(payload), #ident)
                }
            }
        }
    });
    let json = bytes.is_none().then(|| {
        quote_spanned! {span=>
            #[automatically_derived]
            impl #generics __rt::JsonEvent for #ident #arguments #bounds {}
        }
    });
    quote_spanned! {span=>
        const _: () = {
            use #krate::__private as __rt;

            #json

            #[automatically_derived]
            impl #generics __rt::Event for #ident #arguments #bounds {
                const NAME: &'static __rt::str = #name;

                fn to_payload(&self) -> __rt::Result<
                    __rt::Payload,
                    __rt::EncodeError,
                > {
                    #payload
                }
            }

            #decode
        };
    }
}

/// Returns the generics with the bounds that the type's parameters need for it to be an event.
fn bounded(generics: &Generics, binary: bool) -> Generics {
    let mut generics = generics.clone();
    if generics.type_params().next().is_some() {
        let bounds = &mut generics.make_where_clause().predicates;
        let serialize = (!binary).then(|| quote!(__rt::Serialize+));
        let send = quote!(::core::marker::Send + ::core::marker::Sync);
        bounds.push(parse_quote!(Self: #serialize #send));
    }
    generics
}

/// `<Bytes as EventBytes>::method`, on the field's type.
fn of_bytes(bytes: &Type, method: &str) -> TokenStream {
    let (first, last) = ends(bytes);
    let path = respan(quote!(__rt::EventBytes), first);
    let method = Ident::new(method, last);
    let tail = quote_spanned!(last=> >::);
    quote_spanned!(first=> <#bytes as #path #tail #method)
}
