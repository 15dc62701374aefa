//! The fallback for an item of unusable shape: emits the item without this crate's attributes, so
//! that the editor keeps completing in it.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::TokenStreamExt;

use crate::role::Role;

/// Removes this crate's attributes from the item, at any depth.
pub(crate) fn without_roles(item: TokenStream) -> TokenStream {
    let mut out = TokenStream::new();
    let mut tokens = item.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                let ours = matches!(tokens.peek(), Some(TokenTree::Group(group)) if is_role(group));
                if ours {
                    tokens.next();
                } else {
                    out.append(punct);
                }
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), without_roles(group.stream()));
                inner.set_span(group.span());
                out.append(inner);
            }
            token => out.append(token),
        }
    }
    out
}

fn is_role(group: &Group) -> bool {
    let mut path = Vec::new();
    for token in group.stream() {
        match token {
            TokenTree::Ident(name) => path.push(name.to_string()),
            TokenTree::Punct(colon) if colon.as_char() == ':' => {}
            _ => break,
        }
    }
    let ours = path.len() == 1 || path.first().is_some_and(|name| name == "channel_runtime");
    let role = path.last().and_then(|name| Role::named(name));
    group.delimiter() == Delimiter::Bracket && ours && role.is_some()
}
