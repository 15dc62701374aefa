//! The output for unfinished items: the item without this crate's attributes, so that an editor
//! keeps completing in it, and an error.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

use crate::{channel_block, event::derive, role::Role, socket_block};

/// Asserts that the methods are kept, that the attributes are gone, and that there is an error.
fn assert_kept(emitted: &TokenStream, methods: &[&str]) {
    let text = emitted.to_string();
    for method in methods {
        assert!(
            text.contains(&format!("fn {method}")),
            "`{method}` is lost: {text}"
        );
    }
    assert!(!has_role(emitted.clone()), "an attribute is left: {text}");
    assert!(text.contains("compile_error"), "there is no error: {text}");
}

fn has_role(tokens: TokenStream) -> bool {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let attribute = tokens.windows(2).any(|pair| match pair {
        [TokenTree::Punct(pound), TokenTree::Group(group)] if pound.as_char() == '#' => {
            let name = group.stream().into_iter().next();
            matches!(name, Some(TokenTree::Ident(name)) if Role::named(&name.to_string()).is_some())
        }
        _ => false,
    });
    attribute
        || tokens.into_iter().any(|token| match token {
            TokenTree::Group(group) => has_role(group.stream()),
            _ => false,
        })
}

fn unfinished(item: TokenStream, methods: &[&str]) {
    assert_kept(&channel_block(quote!("room:*"), item), methods);
}

#[test]
fn a_body_may_be_anything_that_has_its_brackets() {
    let item = quote! {
        impl Room {
            #[join]
            fn join() -> Self { Room }
            #[handle_in("ping")]
            fn ping(&mut self, socket: &Socket<Self>) { let x = socket. ; if }
        }
    };
    // Not an error of this crate: the compiler reports it at its place.
    let emitted = channel_block(quote!("room:*"), item).to_string();
    assert!(emitted.contains("let x = socket . ;"), "{emitted}");
    assert!(
        emitted.contains("impl __rt :: Channel for Room"),
        "{emitted}"
    );
    assert!(!emitted.contains("compile_error"), "{emitted}");
}

#[test]
fn a_parameter_without_its_type() {
    unfinished(
        quote! {
            impl Room {
                #[join]
                fn join() -> Self { Room }
                #[handle_in("ping")]
                fn ping(&mut self, socket: ) { socket. }
                #[handle_in("pong")]
                fn pong(&mut self) {}
            }
        },
        &["join", "ping", "pong"],
    );
}

#[test]
fn a_return_type_that_is_not_there_yet() {
    unfinished(
        quote! {
            impl Room {
                #[join]
                fn join() -> { Room }
                #[handle_in("pong")]
                fn pong(&mut self) {}
            }
        },
        &["join", "pong"],
    );
}

#[test]
fn a_method_without_its_body() {
    unfinished(
        quote! {
            impl Room {
                #[join]
                fn join() -> Self
                #[handle_in("pong")]
                fn pong(&mut self) {}
            }
        },
        &["join", "pong"],
    );
}

#[test]
fn a_method_without_its_name() {
    unfinished(
        quote! {
            impl Room {
                #[join]
                fn join() -> Self { Room }
                #[handle_in("ping")]
                async fn
                #[handle_in("pong")]
                fn pong(&mut self) {}
            }
        },
        &["join", "pong"],
    );
}

#[test]
fn an_attribute_without_its_method() {
    unfinished(
        quote! {
            impl Room {
                #[join]
                fn join() -> Self { Room }
                #[handle_in("ping")]
            }
        },
        &["join"],
    );
}

#[test]
fn an_attribute_that_is_half_typed() {
    for attribute in [
        quote!(#[handle_in(new_msg)]),
        quote!(#[handle_in(new_)]),
        quote!(#[handle_in =]),
        quote!(#[handle_in("a" "b")]),
        quote!(#[handle_in("a",)] #[handle_in]),
        quote!(#[channel_runtime::handle_in(1)]),
    ] {
        unfinished(
            quote! {
                impl Room {
                    #[join]
                    fn join() -> Self { Room }
                    #attribute
                    fn ping(&mut self) { self. }
                }
            },
            &["join", "ping"],
        );
    }
}

#[test]
fn arguments_that_are_half_typed() {
    for arguments in [
        quote!(),
        quote!("room:*", sock),
        quote!("room:*", socket =),
        quote!("room:*", intercept),
        quote!("room:*", intercept = ["a" "b"]),
        quote!("room:*" socket = User),
        quote!("room:*", crate = ),
        quote!(,),
        quote!("room:{"),
        quote!("room:*", pushes = [A, , B]),
    ] {
        let item = quote! {
            impl Room {
                #[join]
                fn join() -> Self { self. }
                #[handle_in("ping")]
                fn ping(&mut self) {}
            }
        };
        assert_kept(&channel_block(arguments, item), &["join", "ping"]);
    }
}

#[test]
fn an_impl_without_its_type() {
    unfinished(
        quote! {
            impl {
                #[join]
                fn join() -> Self { Room }
            }
        },
        &["join"],
    );
    unfinished(
        quote! {
            impl Room where {
                #[join]
                fn join(,) -> Self { Room }
            }
        },
        &["join"],
    );
    unfinished(
        quote! {
            impl<T: Room<T> {
                #[join]
                fn join() -> Self { Room }
            }
        },
        &["join"],
    );
}

#[test]
fn an_item_of_another_kind() {
    unfinished(
        quote!(
            mod room {
                #[join]
                fn join() {}
            }
        ),
        &["join"],
    );
    unfinished(
        quote!(impl Default for Room { #[join] fn default() -> Self { Room } }),
        &["default"],
    );
    unfinished(quote!(fn), &[]);
    unfinished(quote!(), &[]);
}

#[test]
fn a_socket_is_no_different() {
    for arguments in [
        quote!(),
        quote!(channels),
        quote!(channels = [A,,]),
        quote!(channel = [A]),
    ] {
        let item = quote! {
            impl User {
                #[connect]
                fn connect(params: ) -> Self { User }
                #[id]
                fn id(&self) -> String { self. }
            }
        };
        assert_kept(&socket_block(arguments, item), &["connect", "id"]);
    }
}

#[test]
fn a_type_that_cannot_be_read_is_no_event() {
    for item in [
        quote!(struct),
        quote!(
            #[event]
            struct A;
        ),
        quote!(
            #[event(=)]
            struct A;
        ),
    ] {
        assert!(derive(item).to_string().contains("compile_error"));
    }
}

#[test]
fn what_stands_beside_the_methods_stays() {
    let item = quote! {
        impl<const N: usize> Room<N> {
            const SIZE: [u8; { N + 1 }] = [0; { N + 1 }];
            type Never = !;
            generate! { fn generated() {} }
            generate!(other);
            pub(crate) const unsafe extern "C" fn raw<T>(&self) -> Bytes<{ N }> where T: Copy { 1 }
            #[join]
            fn join() -> Self { Room }
        }
    };
    let without_role = quote! {
        impl<const N: usize> Room<N> {
            const SIZE: [u8; { N + 1 }] = [0; { N + 1 }];
            type Never = !;
            generate! { fn generated() {} }
            generate!(other);
            pub(crate) const unsafe extern "C" fn raw<T>(&self) -> Bytes<{ N }> where T: Copy { 1 }
            fn join() -> Self { Room }
        }
    };
    let emitted = channel_block(quote!("room:*"), item).to_string();
    assert!(emitted.starts_with(&without_role.to_string()), "{emitted}");
}
