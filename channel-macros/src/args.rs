//! The arguments of the attributes: `"room:*", intercept = […], socket = …`.
//!
//! One bad argument does not hide the others: the parser resumes after the next comma.

use proc_macro2::{Punct, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt as _, quote};
use syn::{
    Generics, Ident, LitInt, LitStr, Path, Token, Type, bracketed,
    ext::IdentExt as _,
    parse::{ParseBuffer, ParseStream, Parser},
};

mod rate_limit;
mod upload;

pub(crate) use self::{
    rate_limit::{RateLimit, event_options},
    upload::UploadArgs,
};
use crate::diagnostics::{Diagnostics, did_you_mean, say, suggestion};

/// The arguments of `#[channel(…)]`.
pub(crate) struct ChannelArgs {
    pub(crate) topics: Vec<LitStr>,
    pub(crate) socket: Option<Type>,
    pub(crate) shared: Option<Type>,
    pub(crate) intercept: Vec<LitStr>,
    pub(crate) pushes: Vec<Type>,
    pub(crate) proofs: Vec<Type>,
    pub(crate) rate_limits: Vec<RateLimit>,
    pub(crate) log_join: Option<Level>,
    pub(crate) log_handle_in: Option<Level>,
    pub(crate) hibernate_after: Option<Time>,
    /// The time the channel may take to end, in milliseconds.
    pub(crate) shutdown: Option<u64>,
    pub(crate) krate: TokenStream,
    /// True if all arguments could be parsed, so that an absent one is known to be missing.
    pub(crate) complete: bool,
}

/// The arguments of `#[socket(…)]`.
pub(crate) struct SocketArgs {
    pub(crate) channels: Vec<Type>,
    pub(crate) state: Option<Type>,
    pub(crate) krate: TokenStream,
}

/// The arguments of `#[event(…)]` on `#[derive(Event)]`.
pub(crate) struct EventArgs {
    pub(crate) name: Option<LitStr>,
    pub(crate) binary: Option<Ident>,
    pub(crate) krate: TokenStream,
}

/// A level to log at.
pub(crate) enum Level {
    Off,
    /// The name of a constant of `tracing::Level`.
    At(Ident),
}

/// A time, or `off`.
pub(crate) enum Time {
    Off,
    Milliseconds(u64),
}

const CHANNEL_OPTIONS: &[&str] = &[
    "socket",
    "shared",
    "intercept",
    "pushes",
    "proofs",
    "rate_limit",
    "log_join",
    "log_handle_in",
    "hibernate_after",
    "shutdown",
    "crate",
];

/// The options that may be repeated.
const REPEATED: &[&str] = &["rate_limit"];

impl ChannelArgs {
    pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut args = ChannelArgs {
            topics: Vec::new(),
            socket: None,
            shared: None,
            intercept: Vec::new(),
            pushes: Vec::new(),
            proofs: Vec::new(),
            rate_limits: Vec::new(),
            log_join: None,
            log_handle_in: None,
            hibernate_after: None,
            shutdown: None,
            krate: default_crate(),
            complete: true,
        };
        let mut topic_failed = false;
        let complete = arguments(tokens, diagnostics, CHANNEL_OPTIONS, |argument, input| {
            let Some(name) = argument else {
                let topic = literal(input, say::topic_not_literal());
                topic_failed |= topic.is_err();
                args.topics.push(topic?);
                return Ok(());
            };
            match name.to_string().as_str() {
                "socket" => args.socket = Some(ty(input, "socket", "UserSocket")?),
                "shared" => args.shared = Some(ty(input, "shared", "Board")?),
                "intercept" => extend(&mut args.intercept, input, "intercept", "[\"new_msg\"]")?,
                "pushes" => extend(&mut args.pushes, input, "pushes", "[NewMsg]")?,
                "proofs" => extend(&mut args.proofs, input, "proofs", "[Admin]")?,
                "rate_limit" => args.rate_limits.push(RateLimit::parse(input)?),
                "log_join" => args.log_join = Some(level(input, "log_join")?),
                "log_handle_in" => args.log_handle_in = Some(level(input, "log_handle_in")?),
                "hibernate_after" => {
                    let zero = say::zero_hibernate();
                    args.hibernate_after = Some(time(input, "hibernate_after", "15s", zero)?);
                }
                "shutdown" => args.shutdown = Some(limit(input, "shutdown", "5s")?),
                _ => args.krate = krate(input)?,
            }
            Ok(())
        });
        args.complete = complete;
        if args.topics.is_empty() && !topic_failed {
            diagnostics.at(Span::call_site(), say::no_topic());
        }
        args
    }
}

impl ChannelArgs {
    /// Returns the name of the socket if it is a parameter of the block, and so could be any type.
    pub(crate) fn socket_parameter(&self, generics: &Generics) -> Option<&Ident> {
        let Type::Path(path) = self.socket.as_ref()? else {
            return None;
        };
        let name = path.path.get_ident()?;
        let mut parameters = generics.type_params();
        parameters
            .any(|parameter| parameter.ident == *name)
            .then_some(name)
    }
}

impl SocketArgs {
    pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut args = SocketArgs {
            channels: Vec::new(),
            state: None,
            krate: default_crate(),
        };
        let known = &["channels", "state", "crate"];
        let complete = arguments(tokens, diagnostics, known, |argument, input| {
            match argument {
                Some(name) if name == "channels" => {
                    extend(&mut args.channels, input, "channels", "[RoomChannel]")?;
                }
                Some(name) if name == "state" => args.state = Some(ty(input, "state", "App")?),
                Some(_) => args.krate = krate(input)?,
                None => return Err(misplaced(input)),
            }
            Ok(())
        });
        if complete && args.channels.is_empty() {
            diagnostics.at(Span::call_site(), say::no_channels());
        }
        args
    }
}

impl EventArgs {
    pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut args = EventArgs {
            name: None,
            binary: None,
            krate: default_crate(),
        };
        let known = &["binary", "crate"];
        if let Some((name, example)) = named(tokens.clone()) {
            diagnostics.on(name, say::event_named(example.to_token_stream()));
            args.name = Some(example);
            return args;
        }
        arguments(tokens, diagnostics, known, |argument, input| {
            match argument {
                Some(name) if name == "binary" => args.binary = Some(name),
                Some(_) => args.krate = krate(input)?,
                None => {
                    let name = literal(input, say::literal_expected("\"new_msg\""))?;
                    if args.name.is_some() {
                        return Err(syn::Error::new(name.span(), say::event_name_twice()));
                    }
                    args.name = Some(name);
                }
            }
            Ok(())
        });
        args
    }
}

/// Parses `name = "x"`, as another derive would write it.
fn named(tokens: TokenStream) -> Option<(Ident, LitStr)> {
    let parser = |input: ParseStream<'_>| {
        let name: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        let literal: LitStr = input.parse()?;
        input.parse::<TokenStream>()?;
        Ok((name, literal))
    };
    let (name, literal) = parser.parse2(tokens).ok()?;
    (name == "name" || name == "rename" || name == "event").then_some((name, literal))
}

fn default_crate() -> TokenStream {
    quote!(::channel_runtime)
}

/// Calls `take` for each argument: with the name of an option, or with `None` for anything else.
/// Reports the errors of `take`; returns true if there were none.
fn arguments(
    tokens: TokenStream,
    diagnostics: &mut Diagnostics,
    known: &[&str],
    mut take: impl FnMut(Option<Ident>, ParseStream<'_>) -> syn::Result<()>,
) -> bool {
    let mut complete = true;
    let mut seen = Vec::new();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let outcome = option(input, known, &mut seen)
                .and_then(|name| take(name, input))
                .and_then(|()| match input.is_empty() || input.peek(Token![,]) {
                    true => Ok(()),
                    false => Err(input.error("expected `,`")),
                });
            if let Err(error) = outcome {
                complete = false;
                diagnostics.absorb(error);
            }
            while !input.is_empty() && !input.peek(Token![,]) {
                input.parse::<TokenTree>()?;
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(ended(tokens)) {
        complete = false;
        diagnostics.absorb(error);
    }
    complete
}

/// Appends a comma to the last argument, with the span of that argument's first token, because an
/// error about something missing at the end has no other token to point at.
fn ended(tokens: TokenStream) -> TokenStream {
    let mut begins = None;
    for token in tokens.clone() {
        match &token {
            TokenTree::Punct(mark) if mark.as_char() == ',' => begins = None,
            token => begins = begins.or(Some(token.span())),
        }
    }
    let mut tokens = tokens;
    if let Some(begins) = begins {
        let mut comma = Punct::new(',', Spacing::Alone);
        comma.set_span(begins);
        tokens.append(comma);
    }
    tokens
}

/// Parses the name of the next option; returns `None` if no option comes next.
fn option(
    input: ParseStream<'_>,
    known: &[&str],
    seen: &mut Vec<String>,
) -> syn::Result<Option<Ident>> {
    if !input.peek(Ident::peek_any) {
        return Ok(None);
    }
    let ident = input.fork().call(Ident::parse_any)?;
    let name = ident.to_string();
    let is_value = did_you_mean(&name, known).is_none() && !input.peek2(Token![=]);
    if is_value && !known.contains(&name.as_str()) {
        return Ok(None);
    }
    input.call(Ident::parse_any)?;
    if !known.contains(&name.as_str()) {
        let suggestion = suggestion(&name, known);
        let message = if suggestion.is_empty() {
            let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            say::unknown_option(&name, "", known.join(", "))
        } else {
            say::misspelt_option(&name, suggestion)
        };
        return Err(syn::Error::new(ident.span(), message));
    }
    if seen.contains(&name) && !REPEATED.contains(&name.as_str()) {
        return Err(syn::Error::new(ident.span(), say::duplicate_option(&name)));
    }
    seen.push(name);
    Ok(Some(ident))
}

/// Parses the `=` of an option; an error shows an example.
fn equals(input: ParseStream<'_>, name: &str, example: &str) -> syn::Result<()> {
    if input.peek(Token![=]) && !input.peek2(Token![,]) {
        input.parse::<Token![=]>()?;
        return Ok(());
    }
    Err(syn::Error::new(
        input.span(),
        say::option_value(name, example),
    ))
}

fn literal(input: ParseStream<'_>, message: String) -> syn::Result<LitStr> {
    let literal = input.parse::<LitStr>();
    let literal = literal.map_err(|error| syn::Error::new(error.span(), &message))?;
    match literal.suffix() {
        "" => Ok(literal),
        _ => Err(syn::Error::new(literal.span(), message)),
    }
}

fn ty(input: ParseStream<'_>, name: &str, example: &str) -> syn::Result<Type> {
    equals(input, name, example)?;
    input
        .parse()
        .map_err(|error| syn::Error::new(error.span(), say::option_value(name, example)))
}

/// Parses `= [a, b]`.
fn list<T: syn::parse::Parse>(
    input: ParseStream<'_>,
    name: &str,
    example: &str,
) -> syn::Result<Vec<T>> {
    let mut elements = Vec::new();
    extend(&mut elements, input, name, example)?;
    Ok(elements)
}

/// Parses as [`list`], but pushes onto `elements`, so that they are known even if an element has a
/// `#[cfg]`, which is then the only error.
fn extend<T: syn::parse::Parse>(
    elements: &mut Vec<T>,
    input: ParseStream<'_>,
    name: &str,
    example: &str,
) -> syn::Result<()> {
    equals(input, name, example)?;
    let wrong = |error: syn::Error| syn::Error::new(error.span(), say::option_value(name, example));
    let content = brackets(input).map_err(wrong)?;
    let mut conditional = None;
    while !content.is_empty() {
        while content.peek(Token![#]) {
            let pound: Token![#] = content.parse()?;
            content.parse::<proc_macro2::Group>().map_err(wrong)?;
            conditional.get_or_insert(pound.span);
        }
        elements.push(content.parse().map_err(wrong)?);
        if !content.is_empty() {
            content.parse::<Token![,]>().map_err(wrong)?;
        }
    }
    match conditional {
        Some(at) => Err(syn::Error::new(at, say::cfg_in_list(name))),
        None => Ok(()),
    }
}

fn brackets<'i>(input: ParseStream<'i>) -> syn::Result<ParseBuffer<'i>> {
    let content;
    bracketed!(content in input);
    Ok(content)
}

/// Parses `= path`, or a string as serde users write it.
fn krate(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    equals(input, "crate", "path::to::channel_runtime")?;
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        return Ok(text.parse_with(Path::parse_mod_style)?.to_token_stream());
    }
    Ok(input.call(Path::parse_mod_style)?.to_token_stream())
}

/// Parses `= info`, `= "info"` or `= off`.
fn level(input: ParseStream<'_>, option: &str) -> syn::Result<Level> {
    const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace", "off"];
    equals(input, option, "debug")?;
    let (text, span) = if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        (text.value(), text.span())
    } else if input.peek(Ident::peek_any) {
        let name = input.call(Ident::parse_any)?;
        (name.to_string(), name.span())
    } else {
        let expected = say::option_value(option, "debug");
        return Err(syn::Error::new(input.span(), expected));
    };
    match text.as_str() {
        "off" => Ok(Level::Off),
        level if LEVELS.contains(&level) => Ok(Level::At(Ident::new(&level.to_uppercase(), span))),
        other => {
            let message = say::unknown_level(other, suggestion(other, LEVELS));
            Err(syn::Error::new(span, message))
        }
    }
}

/// Parses `= 5s`, `= 500ms` or `= off`. Rejects a number without a unit, which is ambiguous between
/// seconds and milliseconds.
fn time(input: ParseStream<'_>, name: &str, example: &str, zero: String) -> syn::Result<Time> {
    equals(input, name, example)?;
    let span = input.span();
    let wrong = || syn::Error::new(span, say::option_value(name, example));
    if input.peek(Ident) {
        let word: Ident = input.parse()?;
        return if word == "off" {
            Ok(Time::Off)
        } else {
            Err(wrong())
        };
    }
    let number: LitInt = input.parse().map_err(|_| wrong())?;
    let digits = number.token().to_string();
    let digits = digits.strip_suffix(number.suffix()).unwrap_or(&digits);
    let unit = match number.suffix() {
        "ms" => 1,
        "s" => 1_000,
        "" => return Err(syn::Error::new(span, say::time_without_unit(name, digits))),
        suffix => {
            let message = say::time_suffix(name, suffix, digits);
            return Err(syn::Error::new(span, message));
        }
    };
    let number: u64 = number.base10_parse().map_err(|_| wrong())?;
    match number.checked_mul(unit) {
        Some(0) => Err(syn::Error::new(span, zero)),
        Some(milliseconds) => Ok(Time::Milliseconds(milliseconds)),
        None => Err(syn::Error::new(span, say::large_time(name))),
    }
}

/// Parses a time that cannot be `off`.
fn limit(input: ParseStream<'_>, name: &str, example: &str) -> syn::Result<u64> {
    let value = input.fork();
    let at_value = value
        .parse::<Token![=]>()
        .map_or(input.span(), |_| value.span());
    match time(input, name, example, say::zero_time(name))? {
        Time::Milliseconds(milliseconds) => Ok(milliseconds),
        Time::Off => Err(syn::Error::new(at_value, say::option_value(name, example))),
    }
}

fn misplaced(input: ParseStream<'_>) -> syn::Error {
    let what = match input.fork().parse::<TokenTree>() {
        Ok(TokenTree::Literal(literal)) => format!("`{literal}`"),
        _ => "this".to_owned(),
    };
    syn::Error::new(input.cursor().span(), say::positional_after(what))
}
