//! `rate_limit(per_second = 5, burst = 10, by = user)`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Ident, LitInt, Token, ext::IdentExt as _, parenthesized, parse::ParseStream};

use super::arguments;
use crate::diagnostics::{Diagnostics, say, suggestion};

/// A limit on how often messages may arrive.
pub(crate) struct RateLimit {
    count: u32,
    period_ms: u64,
    burst: u32,
    by_user: bool,
}

/// The options that are rates, and their periods in milliseconds.
const RATES: &[(&str, u64)] = &[
    ("per_second", 1_000),
    ("per_minute", 60_000),
    ("per_hour", 3_600_000),
];

const OPTIONS: &[&str] = &["per_second", "per_minute", "per_hour", "burst", "by"];

/// Parses the options after the event of a `#[handle_in]`. Returns true if all of them could be
/// parsed.
pub(crate) fn event_options(
    tokens: TokenStream,
    diagnostics: &mut Diagnostics,
) -> (Vec<RateLimit>, bool) {
    let mut limits = Vec::new();
    let complete = arguments(tokens, diagnostics, &["rate_limit"], |argument, input| {
        if argument.is_none() {
            return Err(input.error(say::event_option()));
        }
        limits.push(RateLimit::parse(input)?);
        Ok(())
    });
    (limits, complete)
}

impl RateLimit {
    /// Parses the group after the option's name.
    pub(super) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let at = input.span();
        if !input.peek(syn::token::Paren) {
            return Err(syn::Error::new(at, say::rate_limit_group()));
        }
        let content;
        parenthesized!(content in input);
        let mut rate = None;
        let (mut burst, mut by_user) = (None, None);
        while !content.is_empty() {
            let name = content.call(Ident::parse_any)?;
            let text = name.to_string();
            let repeated = || syn::Error::new(name.span(), say::duplicate_option(&text));
            if !OPTIONS.contains(&text.as_str()) {
                return Err(unknown(&name));
            }
            match (
                text.as_str(),
                RATES.iter().find(|(known, _)| *known == text),
            ) {
                (_, Some((known, period))) => {
                    if rate.is_some() {
                        return Err(syn::Error::new(name.span(), say::rate_limit_rates()));
                    }
                    rate = Some((number(&content, known, "5")?, *period));
                }
                ("burst", _) if burst.is_none() => burst = Some(number(&content, "burst", "10")?),
                ("by", _) if by_user.is_none() => by_user = Some(by(&content)?),
                _ => return Err(repeated()),
            }
            if !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
        let Some((count, period_ms)) = rate else {
            return Err(syn::Error::new(at, say::rate_limit_group()));
        };
        Ok(RateLimit {
            count,
            period_ms,
            burst: burst.unwrap_or(count),
            by_user: by_user.unwrap_or_default(),
        })
    }

    /// The `RateLimit` of the runtime; of one event, where it is one's.
    pub(crate) fn value(&self, event: Option<&syn::LitStr>) -> TokenStream {
        let (count, period, burst) = (self.count, self.period_ms, self.burst);
        let of = event.map(|event| quote!(.of(#event)));
        let by = self.by_user.then(|| quote!(.by_user()));
        quote!(__rt::RateLimit::new(#count, #period, #burst) #of #by)
    }
}

fn unknown(name: &Ident) -> syn::Error {
    let suggestion = suggestion(&name.to_string(), OPTIONS);
    let message = match suggestion.is_empty() {
        true => {
            let known: Vec<_> = OPTIONS.iter().map(|name| format!("`{name}`")).collect();
            say::unknown_option(name, "", known.join(", "))
        }
        false => say::misspelt_option(name, suggestion),
    };
    syn::Error::new(name.span(), message)
}

/// Parses `= 5`.
fn number(input: ParseStream<'_>, name: &str, example: &str) -> syn::Result<u32> {
    super::equals(input, name, example)?;
    let wrong = |at: Span| syn::Error::new(at, say::option_value(name, example));
    let at = input.span();
    let number: LitInt = input.parse().map_err(|_| wrong(at))?;
    if !number.suffix().is_empty() {
        let message = say::number_suffix(name, number.suffix());
        return Err(syn::Error::new(at, message));
    }
    match number.base10_parse() {
        Ok(0) => Err(syn::Error::new(at, say::zero_rate(name))),
        Ok(number) => Ok(number),
        Err(_) => Err(syn::Error::new(at, say::large_number(name, u32::MAX))),
    }
}

/// Parses `= client` or `= user`; returns true for the user.
fn by(input: ParseStream<'_>) -> syn::Result<bool> {
    super::equals(input, "by", "user")?;
    let at = input.span();
    let word = input.call(Ident::parse_any).map(|word| word.to_string());
    match word.as_deref() {
        Ok("client") => Ok(false),
        Ok("user") => Ok(true),
        _ => Err(syn::Error::new(at, say::rate_limit_by())),
    }
}
