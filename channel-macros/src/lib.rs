//! The macros of `channel-runtime`, which re-exports them: `#[channel]`, `#[socket]` and
//! `#[derive(Event)]`.
//!
//! The stages are those of a small compiler: the arguments and the block are parsed
//! (`args`, `block`), understood (`model`), checked (`check`) and turned into code (`expand`).
//! The block itself is emitted first and as it was written, but for the attributes that are
//! ours; whatever is wrong with it is reported beside it, all at once.

mod args;
mod block;
mod check;
mod diagnostics;
mod event;
mod expand;
mod fallback;
mod model;
mod pattern;

use proc_macro::TokenStream;
use quote::quote;

use crate::{
    args::{ChannelArgs, SocketArgs},
    block::Block,
    diagnostics::{Diagnostics, say},
    model::Subject,
};

/// Makes the type of an impl block a channel.
#[proc_macro_attribute]
pub fn channel(arguments: TokenStream, item: TokenStream) -> TokenStream {
    channel_block(arguments.into(), item.into()).into()
}

/// Makes the type of an impl block a socket.
#[proc_macro_attribute]
pub fn socket(arguments: TokenStream, item: TokenStream) -> TokenStream {
    socket_block(arguments.into(), item.into()).into()
}

/// Makes a type an event: a message to clients, with a name on the wire.
#[proc_macro_derive(Event, attributes(event))]
pub fn event(input: TokenStream) -> TokenStream {
    event::derive(input.into()).into()
}

type Tokens = proc_macro2::TokenStream;

fn channel_block(arguments: Tokens, item: Tokens) -> Tokens {
    let mut diagnostics = Diagnostics::default();
    let args = ChannelArgs::parse(arguments, &mut diagnostics);
    let Some(block) = Block::parse("channel", item.clone(), &mut diagnostics) else {
        let (item, errors) = (fallback::without_roles(item), diagnostics.into_tokens());
        return quote!(#item #errors);
    };
    let subject = Subject::of(&block, "channel", &mut diagnostics);
    let generated = subject.map(|subject| {
        check::channel(&subject, &args, &mut diagnostics);
        expand::channel(&subject, &args)
    });
    let errors = diagnostics.into_tokens();
    quote!(#block #generated #errors)
}

fn socket_block(arguments: Tokens, item: Tokens) -> Tokens {
    let mut diagnostics = Diagnostics::default();
    let args = SocketArgs::parse(arguments, &mut diagnostics);
    let Some(block) = Block::parse("socket", item.clone(), &mut diagnostics) else {
        let (item, errors) = (fallback::without_roles(item), diagnostics.into_tokens());
        return quote!(#item #errors);
    };
    let subject = Subject::of(&block, "socket", &mut diagnostics);
    let generated = subject.map(|subject| {
        check::socket(&subject, &args, &mut diagnostics);
        expand::socket(&subject, &args)
    });
    let errors = diagnostics.into_tokens();
    quote!(#block #generated #errors)
}

/// What a method's attribute is without its block: the method, and an error that says so.
fn outside_of_block(role: &str, block: &str, item: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let message = say::outside_of_block(role, block);
    diagnostics.at(proc_macro2::Span::call_site(), message);
    let (item, errors) = (Tokens::from(item), diagnostics.into_tokens());
    quote!(#item #errors).into()
}

/// Creates the channel, or refuses.
#[proc_macro_attribute]
pub fn join(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("join", "channel", method)
}

/// Takes a client's message.
#[proc_macro_attribute]
pub fn handle_in(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("handle_in", "channel", method)
}

/// Takes an intercepted broadcast.
#[proc_macro_attribute]
pub fn handle_out(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("handle_out", "channel", method)
}

/// Takes a message of the server's own code.
#[proc_macro_attribute]
pub fn handle_info(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("handle_info", "channel", method)
}

/// Takes a message whose sender waits for the result.
#[proc_macro_attribute]
pub fn handle_call(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("handle_call", "channel", method)
}

/// Takes a message of the server's own code, whose sender hears when it cannot be queued.
#[proc_macro_attribute]
pub fn handle_cast(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("handle_cast", "channel", method)
}

/// Runs last.
#[proc_macro_attribute]
pub fn terminate(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("terminate", "channel", method)
}

/// Accepts a client, or refuses.
#[proc_macro_attribute]
pub fn connect(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("connect", "socket", method)
}

/// Names the connection.
#[proc_macro_attribute]
pub fn id(_: TokenStream, method: TokenStream) -> TokenStream {
    outside_of_block("id", "socket", method)
}
