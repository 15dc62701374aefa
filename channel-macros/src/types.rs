//! Types and tokens, compared by their text.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Type, TypePath};

/// Returns the type without the parentheses and invisible groups around it.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Paren(ty) => peel(&ty.elem),
        Type::Group(ty) => peel(&ty.elem),
        ty => ty,
    }
}

/// Returns the last segment of a type that is a path.
pub(crate) fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match peel(ty) {
        Type::Path(TypePath { path, .. }) => path.segments.last(),
        _ => None,
    }
}

/// Returns true if any of the tokens is one of the names.
pub(crate) fn mentions(tokens: TokenStream, names: &[String]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(group.stream(), names),
        TokenTree::Ident(ident) => names.contains(&ident.to_string()),
        _ => false,
    })
}

/// Returns the types without duplicates.
pub(crate) fn distinct(types: &[Type]) -> Vec<&Type> {
    let mut distinct: Vec<&Type> = Vec::new();
    for ty in types {
        if !distinct.iter().any(|known| shown(known) == shown(ty)) {
            distinct.push(ty);
        }
    }
    distinct
}

/// Returns the tokens of a type as text, to compare and to show.
pub(crate) fn shown(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string();
    let text = text
        .replace(" :: ", "::")
        .replace(" < ", "<")
        .replace(" >", ">");
    text.replace(" ,", ",").replace("& ", "&")
}

/// Returns the first and the last span of some tokens, which stand for all of them.
pub(crate) fn ends(tokens: impl ToTokens) -> (Span, Span) {
    let mut spans = tokens
        .to_token_stream()
        .into_iter()
        .map(|token| token.span());
    let first = spans.next().unwrap_or_else(Span::call_site);
    (first, spans.last().unwrap_or(first))
}

/// Returns the place at which a type borrows for less than `'static`: a reference, or a lifetime
/// among its arguments.
pub(crate) fn borrows(tokens: TokenStream) -> Option<Span> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Group(group) => {
                if let Some(found) = borrows(group.stream()) {
                    return Some(found);
                }
            }
            // `for<'a> Fn(&'a str)` and `fn(&str)` borrow only when they are called.
            TokenTree::Ident(word) if word == "for" || word == "fn" || word == "Fn" => return None,
            TokenTree::Punct(mark) if mark.as_char() == '\'' || mark.as_char() == '&' => {
                let name = |at: usize| match tokens.get(at) {
                    Some(TokenTree::Ident(name)) => Some(name.to_string()),
                    _ => None,
                };
                let lifetime = match mark.as_char() {
                    '&' if matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == '\'') => {
                        name(at + 1)
                    }
                    '&' => None,
                    _ => name(at),
                };
                if lifetime.as_deref() != Some("static") {
                    return Some(mark.span());
                }
                at += if mark.as_char() == '&' { 2 } else { 1 };
            }
            _ => {}
        }
    }
    None
}
