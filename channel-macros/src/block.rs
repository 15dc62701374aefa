//! An impl block whose method bodies stay opaque tokens.
//!
//! A body is never parsed: unfinished code in it reaches the compiler, and the editor, as it was
//! written. A method whose signature cannot be parsed is kept as tokens too.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote};
use syn::{
    Generics, Ident, Signature, Token, Type, Visibility, WhereClause, WherePredicate,
    parse::{ParseStream, Parser},
    parse_quote,
};

use crate::{
    diagnostics::{Diagnostics, did_you_mean, say},
    role::Role,
    types::peel,
};

/// The impl block without this crate's attributes.
pub(crate) struct Block {
    attributes: Vec<Attribute>,
    pub(crate) impl_token: Token![impl],
    pub(crate) generics: Generics,
    pub(crate) self_ty: Type,
    inner: TokenStream,
    span: Span,
    pub(crate) items: Vec<Item>,
    /// True if an item could not be parsed.
    pub(crate) incomplete: bool,
    /// The type parameters without a bound.
    pub(crate) unbounded: Vec<Ident>,
}

/// An item of the block.
pub(crate) enum Item {
    Method(Box<Method>),
    /// Constants, types, macros, and items that cannot be parsed.
    Other(TokenStream),
}

/// A method whose signature is parsed, but not its body.
pub(crate) struct Method {
    /// This crate's attributes, which are not emitted.
    pub(crate) roles: Vec<Attribute>,
    /// All other attributes.
    pub(crate) attributes: Vec<Attribute>,
    visibility: TokenStream,
    pub(crate) signature: Signature,
    body: TokenTree,
}

/// An outer attribute. Unlike syn's, its arguments may be any tokens.
#[derive(Clone)]
pub(crate) struct Attribute {
    pound: TokenTree,
    pub(crate) group: Group,
    path: Vec<Ident>,
    /// The tokens after the path.
    pub(crate) arguments: TokenStream,
}

impl Attribute {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let pound = input.parse()?;
        let group: Group = input.parse()?;
        let mut path = Vec::new();
        let mut rest = group.stream().into_iter().peekable();
        let is_colon =
            |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ':');
        loop {
            while rest.next_if(is_colon).is_some() {}
            let Some(TokenTree::Ident(segment)) = rest.peek() else {
                break;
            };
            path.push(segment.clone());
            rest.next();
        }
        Ok(Attribute {
            pound,
            group,
            path,
            arguments: rest.collect(),
        })
    }

    /// Returns the last segment of its path.
    pub(crate) fn name(&self) -> Option<&Ident> {
        self.path.last()
    }

    /// Returns its role if it is one of this crate's attributes: by its own name, or as
    /// `channel_runtime::…`.
    pub(crate) fn role(&self) -> Option<Role> {
        let ours = self.path.len() == 1 || self.path.first()? == "channel_runtime";
        self.name()
            .filter(|_| ours)
            .and_then(|name| Role::named(&name.to_string()))
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.path.len() == 1 && self.path[0] == name
    }
}

impl ToTokens for Attribute {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.pound.to_tokens(tokens);
        self.group.to_tokens(tokens);
    }
}

impl Block {
    /// Parses the block; `None` if its shape is unusable, and the fallback must emit the item.
    pub(crate) fn parse(
        attribute: &'static str,
        item: TokenStream,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let parse = |input: ParseStream<'_>| Self::parse_item(attribute, input, diagnostics);
        match parse.parse2(item) {
            Ok(block) => block,
            Err(error) => {
                diagnostics.absorb(error);
                None
            }
        }
    }

    fn parse_item(
        attribute: &'static str,
        input: ParseStream<'_>,
        diagnostics: &mut Diagnostics,
    ) -> syn::Result<Option<Self>> {
        let attributes = attributes(input)?;
        if input.peek(Token![unsafe]) && input.peek2(Token![impl]) {
            diagnostics.on(input.parse::<Token![unsafe]>()?, say::unsafe_impl());
            return skip(input);
        }
        if !input.peek(Token![impl]) {
            // The error points at the keyword or name, which is clearer than the whole item.
            let head = input.fork();
            let _visibility: Visibility = head.parse()?;
            diagnostics.at(head.span(), say::not_an_impl(attribute));
            return skip(input);
        }
        let impl_token = input.parse()?;
        // `impl <T as Trait>::Type` does not name a type of the user's own in either reading.
        let mut generics: Generics = input.parse()?;
        let self_ty: Type = input.parse()?;
        if input.peek(Token![for]) {
            diagnostics.on(self_ty, say::trait_impl(attribute));
            return skip(input);
        }
        generics.where_clause = input.parse::<Option<WhereClause>>()?;
        let unbounded = bound(&mut generics);
        let content;
        let brace = syn::braced!(content in input);
        let mut inner = TokenStream::new();
        while content.peek(Token![#]) && content.peek2(Token![!]) {
            inner.append_all([content.parse::<TokenTree>()?, content.parse()?]);
            inner.append(content.parse::<TokenTree>()?);
        }
        let mut items = Vec::new();
        let before = diagnostics.len();
        while !content.is_empty() {
            items.push(Item::parse(&content, diagnostics)?);
        }
        Ok(Some(Block {
            attributes,
            impl_token,
            generics,
            self_ty,
            inner,
            span: brace.span.join(),
            items,
            incomplete: diagnostics.len() > before,
            unbounded,
        }))
    }

    pub(crate) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.items.iter().filter_map(|item| match item {
            Item::Method(method) => Some(&**method),
            Item::Other(_) => None,
        })
    }
}

impl ToTokens for Block {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let (inner, items, ty) = (&self.inner, &self.items, &self.self_ty);
        let (impl_token, generics) = (&self.impl_token, &self.generics);
        let where_clause = &self.generics.where_clause;
        tokens.append_all(&self.attributes);
        tokens.extend(quote!(#impl_token #generics #ty #where_clause));
        let mut body = Group::new(Delimiter::Brace, quote!(#inner #(#items)*));
        body.set_span(self.span);
        tokens.append(body);
    }
}

impl Item {
    /// Parses one item; anything but a method with a valid signature is kept as it is.
    fn parse(input: ParseStream<'_>, diagnostics: &mut Diagnostics) -> syn::Result<Self> {
        let all = attributes(input)?;
        let (roles, attributes) = sort(all, diagnostics);
        let ahead = input.fork();
        match Method::head(&ahead) {
            Ok(Some((visibility, signature))) if ahead.peek(syn::token::Brace) => {
                let body = ahead.parse()?;
                syn::parse::discouraged::Speculative::advance_to(input, &ahead);
                return Ok(Item::Method(Box::new(Method {
                    roles,
                    attributes,
                    visibility,
                    signature,
                    body,
                })));
            }
            Ok(Some(_)) => diagnostics.at(ahead.span(), "expected the method's body"),
            Ok(None) => {
                for role in &roles {
                    let name = role.name();
                    diagnostics.on(name, say::not_a_method(name.to_token_stream()));
                }
            }
            Err(error) => diagnostics.absorb(error),
        }
        let rest = opaque(input)?;
        Ok(Item::Other(quote!(#(#attributes)* #rest)))
    }
}

impl Method {
    /// Parses the visibility and the signature; `None` if the item is not a function.
    fn head(input: ParseStream<'_>) -> syn::Result<Option<(TokenStream, Signature)>> {
        let mut visibility = input.parse::<Visibility>()?.to_token_stream();
        if input.peek(Token![default]) && !input.peek2(Token![!]) {
            visibility.append(input.parse::<TokenTree>()?);
        }
        if !is_function(&input.fork()) {
            return Ok(None);
        }
        Ok(Some((visibility, input.parse()?)))
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.signature.ident
    }
}

impl ToTokens for Method {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(&self.attributes);
        self.visibility.to_tokens(tokens);
        self.signature.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

impl ToTokens for Item {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Item::Method(method) => method.to_tokens(tokens),
            Item::Other(other) => other.to_tokens(tokens),
        }
    }
}

/// Bounds the type parameters that have no bound, so that each causes only its own error. Returns
/// their names.
fn bound(generics: &mut Generics) -> Vec<Ident> {
    let bounded = |name: &Ident| {
        let predicates = generics
            .where_clause
            .iter()
            .flat_map(|clause| &clause.predicates);
        predicates
            .filter_map(|predicate| match predicate {
                WherePredicate::Type(predicate) => Some(&predicate.bounded_ty),
                _ => None,
            })
            .any(|ty| matches!(peel(ty), Type::Path(path) if path.path.is_ident(name)))
    };
    let parameters = generics
        .type_params()
        .filter(|parameter| parameter.bounds.is_empty());
    let names = parameters.map(|parameter| parameter.ident.clone());
    let names: Vec<_> = names.filter(|name| !bounded(name)).collect();
    for name in &names {
        let predicate = parse_quote!(#name: ::core::marker::Send + ::core::marker::Sync + 'static);
        generics.make_where_clause().predicates.push(predicate);
    }
    names
}

/// Skips the rest of an item that is not a function.
fn skip<T>(input: ParseStream<'_>) -> syn::Result<Option<T>> {
    input.parse::<TokenStream>()?;
    Ok(None)
}

fn attributes(input: ParseStream<'_>) -> syn::Result<Vec<Attribute>> {
    let mut attributes = Vec::new();
    while input.peek(Token![#]) && input.peek2(syn::token::Bracket) {
        attributes.push(Attribute::parse(input)?);
    }
    Ok(attributes)
}

/// Splits the attributes into this crate's and the others. An apparent misspelling of one of this
/// crate's is reported and dropped, since the compiler would only say that it is unknown.
fn sort(all: Vec<Attribute>, diagnostics: &mut Diagnostics) -> (Vec<Attribute>, Vec<Attribute>) {
    let (mut roles, mut others) = (Vec::new(), Vec::new());
    for attribute in all {
        let Some(name) = attribute.name().map(Ident::to_string) else {
            others.push(attribute);
            continue;
        };
        if attribute.role().is_some() {
            roles.push(attribute);
        } else if name == "cfg_attr"
            && let Some(role) = role_within(&attribute.arguments)
        {
            diagnostics.on(&role, say::in_cfg_attr(&role));
        } else if let Some(role) = did_you_mean(&name, Role::NAMES) {
            diagnostics.on(attribute.name(), say::misspelt_role(&name, role));
        } else {
            others.push(attribute);
        }
    }
    (roles, others)
}

/// Returns a role among the attributes that a `cfg_attr(condition, …)` would add.
fn role_within(arguments: &TokenStream) -> Option<Ident> {
    let group = arguments
        .clone()
        .into_iter()
        .find_map(|token| match token {
            TokenTree::Group(group) => Some(group.stream()),
            _ => None,
        })?;
    let mut after_comma = false;
    group.into_iter().find_map(|token| {
        let follows = std::mem::replace(
            &mut after_comma,
            matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ','),
        );
        match token {
            TokenTree::Ident(ident) if follows && Role::named(&ident.to_string()).is_some() => {
                Some(ident)
            }
            _ => None,
        }
    })
}

fn is_function(input: ParseStream<'_>) -> bool {
    loop {
        if input.peek(Token![fn]) {
            return true;
        }
        let qualifier = input.peek(Token![const])
            || input.peek(Token![async])
            || input.peek(Token![unsafe])
            || input.peek(Token![extern])
            || input.peek(syn::LitStr);
        if !qualifier || input.parse::<TokenTree>().is_err() {
            return false;
        }
    }
}

/// Returns the tokens up to the end of an item: its braces, its semicolon, or the next attribute.
fn opaque(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut tokens = TokenStream::new();
    let constant = input.fork();
    let _visibility = constant.parse::<Visibility>();
    let constant = constant.peek(Token![const]) && !constant.peek2(Token![fn]);
    while !input.is_empty() {
        if !tokens.is_empty() && input.peek(Token![#]) && input.peek2(syn::token::Bracket) {
            break;
        }
        let token: TokenTree = input.parse()?;
        let ends = match &token {
            TokenTree::Group(group) => !constant && group.delimiter() == Delimiter::Brace,
            TokenTree::Punct(punct) => punct.as_char() == ';',
            _ => false,
        };
        tokens.append(token);
        if ends {
            break;
        }
    }
    Ok(tokens)
}
