//! macros
use proc_macro::TokenStream;
/// channel
#[proc_macro_attribute]
pub fn channel(_a: TokenStream, i: TokenStream) -> TokenStream {
    i
}
/// socket
#[proc_macro_attribute]
pub fn socket(_a: TokenStream, i: TokenStream) -> TokenStream {
    i
}
/// event
#[proc_macro_derive(Event, attributes(event))]
pub fn event(_i: TokenStream) -> TokenStream {
    TokenStream::new()
}
