//! The arguments of `#[allow_upload]`: `"photos", accept = ["image/*"], max_entries = 5`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Ident, LitBool, LitInt, LitStr, Token, ext::IdentExt as _, parse::ParseStream};

use super::{Time, arguments, equals, limit, list, literal, time};
use crate::diagnostics::{Diagnostics, say, suggestion};

/// The arguments of `#[allow_upload(…)]`.
pub(crate) struct UploadArgs {
    pub(crate) name: Option<LitStr>,
    accept: Option<Accept>,
    numbers: Vec<(&'static str, u64)>,
    total: bool,
    auto_upload: bool,
    detach: Option<Time>,
}

enum Accept {
    Any,
    Only(Vec<LitStr>),
}

const OPTIONS: &[&str] = &[
    "accept",
    "max_entries",
    "max_entries_mode",
    "max_file_size",
    "chunk_size",
    "chunk_timeout",
    "first_chunk_timeout",
    "detach",
    "auto_upload",
];

/// The options that are numbers, with an example and the method of `UploadSpec`.
const NUMBERS: &[(&str, &str, &str, u64)] = &[
    ("max_entries", "10", "max_entries", 1_000),
    ("max_file_size", "20_000_000", "max_file_size", u64::MAX),
    ("chunk_size", "64_000", "chunk_size", u32::MAX as u64),
];

/// The options that are times, with an example and the method of `UploadSpec`.
const TIMES: &[(&str, &str, &str)] = &[
    ("chunk_timeout", "10s", "chunk_timeout_ms"),
    ("first_chunk_timeout", "30s", "first_chunk_timeout_ms"),
];

impl UploadArgs {
    /// Parses the arguments. Returns true if all of them could be parsed.
    pub(crate) fn parse(
        tokens: TokenStream,
        at: Span,
        diagnostics: &mut Diagnostics,
    ) -> (Self, bool) {
        let mut args = UploadArgs {
            name: None,
            accept: None,
            numbers: Vec::new(),
            total: false,
            auto_upload: false,
            detach: None,
        };
        let before = diagnostics.len();
        let complete = arguments(tokens, diagnostics, OPTIONS, |argument, input| {
            let Some(option) = argument else {
                let example = "\"photos\"";
                let name = literal(input, say::role_not_literal("an upload's name", example))?;
                if args.name.is_some() {
                    return Err(syn::Error::new(name.span(), say::upload_one_name()));
                }
                args.name = Some(name);
                return Ok(());
            };
            args.option(&option, input)
        });
        if complete && args.name.is_none() {
            diagnostics.at(at, say::upload_nameless());
        } else if complete && args.accept.is_none() {
            diagnostics.at(at, say::upload_accepts());
        }
        (args, diagnostics.len() == before)
    }

    fn option(&mut self, option: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        let name = option.to_string();
        match name.as_str() {
            "accept" => self.accept = Some(accept(input)?),
            "max_entries_mode" => self.total = mode(input)?,
            "auto_upload" => self.auto_upload = flag(input)?,
            "detach" => self.detach = Some(time(input, "detach", "30s", say::zero_detach())?),
            _ => {
                let known = NUMBERS.iter().find(|(known, ..)| *known == name);
                if let Some((known, example, method, most)) = known {
                    self.numbers
                        .push((method, number(input, known, example, *most)?));
                }
                let known = TIMES.iter().find(|(known, ..)| *known == name);
                if let Some((known, example, method)) = known {
                    self.numbers.push((method, limit(input, known, example)?));
                }
            }
        }
        Ok(())
    }

    /// The `UploadSpec`; `by_hand` says that no `#[handle_upload]` takes the files.
    pub(crate) fn spec(&self, by_hand: bool) -> TokenStream {
        let name = &self.name;
        let accept = match &self.accept {
            Some(Accept::Only(list)) => quote!(Only(&[#(#list),*])),
            _ => quote!(Any),
        };
        let numbers = self.numbers.iter().map(|(method, number)| {
            let method = Ident::new(method, Span::mixed_site());
            let number = proc_macro2::Literal::u64_unsuffixed(*number);
            quote!(.#method(#number))
        });
        let total = self.total.then(|| quote!(.counts_consumed()));
        let auto_upload = self.auto_upload.then(|| quote!(.auto_upload()));
        let by_hand = by_hand.then(|| quote!(.by_hand()));
        let detach = self.detach.as_ref().map(|time| match time {
            Time::Off => quote!(.detach_ms(__rt::None)),
            Time::Milliseconds(time) => quote!(.detach_ms(__rt::Some(#time))),
        });
        quote! {
            __upload::UploadSpec::new(
                #name,
                __upload::Accept::#accept,
            ) #(#numbers)* #total #auto_upload #by_hand #detach
        }
    }
}

/// Parses `= any` or `= [".jpg", "image/*"]`.
fn accept(input: ParseStream<'_>) -> syn::Result<Accept> {
    const EXAMPLE: &str = "[\".jpg\", \"image/*\"]";
    if input.peek(Token![=]) && input.peek2(Ident::peek_any) {
        equals(input, "accept", EXAMPLE)?;
        let word = input.call(Ident::parse_any)?;
        if word == "any" {
            return Ok(Accept::Any);
        }
        return Err(syn::Error::new(
            word.span(),
            say::option_value("accept", EXAMPLE),
        ));
    }
    let span = input.span();
    let types: Vec<LitStr> = list(input, "accept", EXAMPLE)?;
    if types.is_empty() {
        return Err(syn::Error::new(span, say::accept_nothing()));
    }
    for (at, ty) in types.iter().enumerate() {
        let text = ty.value();
        let message = if types[..at].contains(ty) {
            Some(say::listed_twice(&text))
        } else {
            wrong_type(&text)
        };
        if let Some(message) = message {
            return Err(syn::Error::new(ty.span(), message));
        }
    }
    Ok(Accept::Only(types))
}

/// Returns the error of a type that is not like `.jpg`, `image/png` or `image/*`.
fn wrong_type(text: &str) -> Option<String> {
    const FAMILIES: [&str; 3] = ["image/*", "audio/*", "video/*"];
    let is_word = |word: &str| {
        let known = |c: char| c.is_ascii_graphic() && !"/*,;\"".contains(c);
        !word.is_empty() && word.chars().all(known)
    };
    if text.chars().any(char::is_uppercase) {
        return Some(say::accept_case(text, text.to_lowercase()));
    }
    if let Some(extension) = text.strip_prefix('.') {
        return match extension.rsplit_once('.') {
            Some((_, last)) if is_word(extension) => Some(say::accept_extension(text, last)),
            _ if is_word(extension) => None,
            _ => Some(say::accept_unknown(text)),
        };
    }
    match text.split_once('/') {
        Some((_, "*")) if !FAMILIES.contains(&text) => Some(say::accept_family(text)),
        Some((_, "*")) => None,
        Some((family, kind)) if is_word(family) && is_word(kind) => None,
        None if is_word(text) => Some(say::accept_dot(text)),
        _ => Some(say::accept_unknown(text)),
    }
}

/// Parses `= selected` or `= total`.
fn mode(input: ParseStream<'_>) -> syn::Result<bool> {
    equals(input, "max_entries_mode", "total")?;
    let word = input.call(Ident::parse_any)?;
    match word.to_string().as_str() {
        "total" => Ok(true),
        "selected" => Ok(false),
        other => {
            let suggestion = suggestion(other, &["total", "selected"]);
            let message = say::unknown_mode(other, suggestion);
            Err(syn::Error::new(word.span(), message))
        }
    }
}

/// Parses the option alone, or `= true`.
fn flag(input: ParseStream<'_>) -> syn::Result<bool> {
    if !input.peek(Token![=]) {
        return Ok(true);
    }
    equals(input, "auto_upload", "true")?;
    let flag: LitBool = input
        .parse()
        .map_err(|error| syn::Error::new(error.span(), say::option_value("auto_upload", "true")))?;
    Ok(flag.value)
}

fn number(input: ParseStream<'_>, name: &str, example: &str, most: u64) -> syn::Result<u64> {
    equals(input, name, example)?;
    let span = input.span();
    let wrong = || syn::Error::new(span, say::option_value(name, example));
    let number: LitInt = input.parse().map_err(|_| wrong())?;
    if !number.suffix().is_empty() {
        let message = say::number_suffix(name, number.suffix());
        return Err(syn::Error::new(span, message));
    }
    match number.base10_parse::<u64>() {
        Ok(0) => Err(syn::Error::new(span, say::zero_number(name))),
        Ok(number) if number <= most => Ok(number),
        Ok(_) => Err(syn::Error::new(span, say::large_number(name, most))),
        Err(_) => Err(wrong()),
    }
}
