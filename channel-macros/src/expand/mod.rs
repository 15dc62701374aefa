//! Generates code from the model: one file per generated item.
//!
//! Generated code has the hygiene of `mixed_site`, and its locals begin with `__`, because hygiene
//! separates them from the user's locals, but not from a constant of the same name. Only the path
//! that names a user's type carries the plain span of that type, so that the compiler's error about
//! it points there and nowhere else.

mod call;
mod channel;
mod event;
mod gate;
mod join;
mod message;
mod socket;
mod terminate;
mod topic;
mod upload;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote, quote_spanned};
use syn::{Generics, Type};

pub(crate) use self::{channel::channel, socket::socket};
use crate::{
    block::Attribute,
    model::{Handler, Target},
    role::Role,
    types::{ends, mentions},
};

/// The context of an expansion, shared by all generated items.
pub(crate) struct ExpandCtx<'s> {
    pub(crate) target: &'s Target<'s>,
    /// The path of the runtime crate.
    pub(crate) krate: &'s TokenStream,
    /// True if handlers of clients' messages may demand proofs.
    pub(crate) proofs: bool,
}

impl ExpandCtx<'_> {
    /// Returns the type of the channel or the socket.
    pub(crate) fn ty(&self) -> &Type {
        &self.target.block.self_ty
    }

    pub(crate) fn generics(&self) -> &Generics {
        &self.target.block.generics
    }

    /// Returns `<Qualified as Trait<parameters>>::method`, with the span of `ty` from end to end.
    pub(crate) fn qualified_with(
        &self,
        ty: &TokenStream,
        qualified: &TokenStream,
        path: &TokenStream,
        parameters: TokenStream,
        method: &str,
    ) -> TokenStream {
        let (first, last) = ends(ty);
        let method = Ident::new(method, last);
        let tail = quote_spanned!(last=> >::);
        let path = respan(in_runtime(path), first);
        quote_spanned!(first=> < #qualified as #path #parameters #tail #method)
    }

    /// Returns `impl<…> Trait<parameters> for ty { body }`. All of it has the span of the type, so
    /// that errors about the whole impl are reported there.
    pub(crate) fn implement(
        &self,
        name: &str,
        parameters: TokenStream,
        ty: &TokenStream,
        body: TokenStream,
    ) -> TokenStream {
        let (first, last) = ends(ty);
        let name = path(name);
        let (generics, _, bounds) = self.generics().split_for_impl();
        let name = in_runtime(&name);
        let path = respan(quote!(#name #parameters), first);
        let mut body = Group::new(Delimiter::Brace, body);
        body.set_span(last);
        let derived = quote_spanned!(Span::mixed_site()=> #[automatically_derived]);
        quote_spanned!(first=> #derived impl #generics #path for #ty #bounds #body)
    }

    /// Returns a type for use where `Self` may be another type and the lifetimes of the method's
    /// signature are unknown.
    pub(crate) fn outside(&self, ty: &Type) -> TokenStream {
        outside(ty.to_token_stream(), self.ty())
    }

    /// Wraps the generated items in a scope of their own, where `__rt` is the runtime.
    ///
    /// Each attribute that the block is written with is used on its own name, so that an editor can
    /// show what it means.
    pub(crate) fn scope(&self, items: TokenStream) -> TokenStream {
        let mut attributes: Vec<(Role, &Ident)> = Vec::new();
        for handler in &self.target.handlers {
            if let Some(name) = handler.attribute.name()
                && !attributes.iter().any(|(role, _)| *role == handler.role)
            {
                attributes.push((handler.role, name));
            }
        }
        let attributes = attributes.into_iter().map(|(_, name)| name);
        let (krate, lint_attrs) = (self.krate, self.lint_attrs());
        let mut uploads = self.target.with(Role::AllowUpload);
        let uploads = uploads
            .next()
            .map(|_| quote!(use #krate::upload as __upload;));
        quote_spanned! {Span::mixed_site()=>
            #lint_attrs
            const _: () = {
                use #krate::{__private as __rt, attributes::{#(#attributes as _),*}};
                #uploads
                #items
            };
        }
    }

    /// The attribute of all that is generated.
    fn lint_attrs(&self) -> TokenStream {
        quote_spanned! {Span::mixed_site()=>
            #[allow(
                clippy::all,
                deprecated,
                unreachable_code,
                unreachable_patterns,
                unused_imports,
                unused_variables,
                unused_mut,
                non_snake_case,
            )]
        }
    }
}

/// Returns the path of a runtime item: in the public module `upload`, or in `__private`.
pub(crate) fn in_runtime(path: &TokenStream) -> TokenStream {
    let mut tokens = path.clone().into_iter().peekable();
    match tokens.next_if(|first| is(first, "upload")) {
        Some(_) => {
            let rest: TokenStream = tokens.collect();
            quote!(__upload #rest)
        }
        None => quote!(__rt::#path),
    }
}

/// Parses a path such as `upload::TakesUploads` into tokens.
fn path(text: &str) -> TokenStream {
    let segments = text
        .split("::")
        .map(|name| Ident::new(name, Span::mixed_site()));
    quote!(#(#segments)::*)
}

/// Sets the span of all tokens, including those in groups.
pub(crate) fn respan(tokens: TokenStream, span: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            if let TokenTree::Group(group) = &token {
                token =
                    TokenTree::Group(Group::new(group.delimiter(), respan(group.stream(), span)));
            }
            token.set_span(span);
            token
        })
        .collect()
}

fn outside(tokens: TokenStream, own: &Type) -> TokenStream {
    let higher_ranked = tokens.clone().into_iter().any(|token| is(&token, "for"));
    let mut out = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), outside(group.stream(), own));
                inner.set_span(group.span());
                out.append(inner);
            }
            token if is(&token, "Self") => {
                let own = respan(own.to_token_stream(), token.span());
                let projects =
                    matches!(tokens.peek(), Some(TokenTree::Punct(p)) if p.as_char() == ':');
                out.extend(if projects { quote!(<#own>) } else { own });
            }
            TokenTree::Punct(quote) if quote.as_char() == '\'' && !higher_ranked => {
                out.append(quote);
                if let Some(TokenTree::Ident(name)) = tokens.next() {
                    let known = name == "static" || name == "_";
                    let erased = Ident::new("_", name.span());
                    out.append(if known { name } else { erased });
                }
            }
            token => out.append(token),
        }
    }
    out
}

fn is(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}

/// Returns true if a type depends on a parameter of the block.
pub(crate) fn is_generic(ty: &TokenStream, generics: &Generics) -> bool {
    let types = generics.type_params().map(|p| p.ident.to_string());
    let constants = generics.const_params().map(|p| p.ident.to_string());
    let names: Vec<_> = types.chain(constants).collect();
    !names.is_empty() && mentions(ty.clone(), &names)
}

/// Wraps statements in the conditions of their method.
fn under(cfgs: &[&Attribute], statements: TokenStream) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> #(#cfgs)* { #statements })
}

/// Returns the body for alternative handlers: that of the one that exists, or `otherwise`.
fn alternatives(
    handlers: &[&Handler<'_>],
    body: impl Fn(&Handler<'_>) -> TokenStream,
    otherwise: &TokenStream,
) -> TokenStream {
    let last = handlers
        .iter()
        .position(|handler| handler.cfgs().is_empty());
    let otherwise = last.map_or_else(|| otherwise.clone(), |at| body(handlers[at]));
    let conditional = &handlers[..last.unwrap_or(handlers.len())];
    let absent = conditional.iter().map(|handler| handler.absent());
    let bodies = conditional
        .iter()
        .map(|handler| under(&handler.cfgs(), body(handler)));
    if conditional.is_empty() {
        return otherwise;
    }
    quote_spanned!(Span::mixed_site()=> #(#bodies)* #[cfg(all(#(#absent),*))] { #otherwise })
}
