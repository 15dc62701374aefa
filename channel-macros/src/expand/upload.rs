//! The uploads of a channel: their specs, and `TakesUploads`, a match over their names.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Ident;

use super::{
    ExpandCtx,
    call::{Call, reported},
};
use crate::model::{Handler, Parameter};
use crate::role::Role;

/// Returns the type of `Channel::Extension`.
pub(super) fn extension(cx: &ExpandCtx<'_>) -> TokenStream {
    match cx.target.with(Role::AllowUpload).next() {
        Some(_) => quote_spanned!(Span::mixed_site()=> __upload::UploadsExtension),
        None => quote!(()),
    }
}

/// Returns the table of uploads, in `impl TakesUploads`.
fn specs(cx: &ExpandCtx<'_>) -> TokenStream {
    let specs = cx.target.with(Role::AllowUpload).filter_map(|handler| {
        let (upload, cfgs) = (handler.upload.as_ref()?, handler.cfgs());
        handler.literal.as_ref()?;
        let spec = upload.spec(!cx.target.is_handled(handler));
        Some(quote!(#(#cfgs)* #spec,))
    });
    quote_spanned! {Span::mixed_site()=>
        const UPLOADS: &'static [__upload::UploadSpec] = &[#(#specs)*];
    }
}

/// Returns the beginning of `handle_in`, which handles the library's own events.
pub(super) fn handle_in(cx: &ExpandCtx<'_>) -> Option<TokenStream> {
    cx.target.with(Role::AllowUpload).next()?;
    Some(quote_spanned! {Span::mixed_site()=>
        if __upload::is_event(__cx.event()) {
            return __rt::Ok(__upload::handle_in(self, __cx, __payload));
        }
    })
}

/// Returns `impl TakesUploads`.
pub(super) fn takes_uploads(cx: &ExpandCtx<'_>) -> Option<TokenStream> {
    let span = Span::mixed_site();
    cx.target.with(Role::AllowUpload).next()?;
    let step = quote_spanned!(span=> __rt::HandlerFuture);
    let destination = method(
        cx,
        Role::AllowUpload,
        quote_spanned! {span=> __rt::Result<
            __upload::Destination,
            __rt::Refusal,
        >},
        ("IntoDestination", "into_destination"),
        &quote_spanned!(span=> #step::ready(__rt::Err(
            __rt::Refusal::empty(),
        ))),
    );
    let validate = method(
        cx,
        Role::ValidateUpload,
        quote_spanned!(span=> __rt::Result<(), __rt::Refusal>),
        ("IntoValidity", "into_validity"),
        &quote_spanned!(span=> #step::ready(__rt::Ok(()))),
    );
    let uploaded = method(
        cx,
        Role::HandleUpload,
        quote_spanned!(span=> __upload::Consumed),
        ("IntoConsumed", "into_consumed"),
        &quote_spanned!(span=> #step::ready(__upload::Consumed::Postponed)),
    );
    let progressed = method(
        cx,
        Role::HandleProgress,
        quote_spanned!(span=> __rt::NoReply),
        ("IntoNoReply", "into_no_reply"),
        &quote_spanned!(span=> #step::ready(__rt::NoReply::CONTINUE)),
    );
    let specs = specs(cx);
    let items = quote_spanned!(span=> #specs #destination #validate #uploaded #progressed);
    let own = cx.ty().to_token_stream();
    Some(cx.implement("upload::TakesUploads", quote!(), &own, items))
}

/// Returns one method of the trait: a match over the names of the uploads.
fn method(
    cx: &ExpandCtx<'_>,
    role: Role,
    output: TokenStream,
    convert: (&str, &str),
    otherwise: &TokenStream,
) -> TokenStream {
    let span = Span::mixed_site();
    let arms = cx.target.with(role).filter_map(|handler| {
        let (name, cfgs) = (handler.literal.as_ref()?, handler.cfgs());
        let body = call(cx, handler, convert);
        Some(quote_spanned!(span=> #(#cfgs)* #name => { #body }))
    });
    let name = match role {
        Role::AllowUpload => quote!(destination),
        Role::ValidateUpload => quote!(validate),
        Role::HandleUpload => quote!(uploaded),
        _ => quote!(progressed),
    };
    let role_name = Ident::new(role.name(), span);
    let file = (role == Role::HandleUpload).then(|| {
        quote_spanned!(span=> __file: __rt::Box<
            dyn ::core::any::Any + ::core::marker::Send,
        >,)
    });
    quote_spanned! {span=>
        fn #name<'a>(
            &'a mut self,
            __cx: &'a __rt::Context<'a, Self, __rt::role::#role_name>,
            #file
        ) -> __rt::HandlerFuture<'a, #output> {
            match __cx.upload() {
                #(#arms)*
                _ => #otherwise,
            }
        }
    }
}

fn call(cx: &ExpandCtx<'_>, handler: &Handler<'_>, (path, convert): (&str, &str)) -> TokenStream {
    if handler.is_wrong() {
        return reported();
    }
    let call = Call::of(cx, handler);
    let file = |parameter: &Parameter<'_>| read(cx, handler, parameter);
    let arguments = call.arguments(file);
    let path = match path {
        "IntoNoReply" => path.to_owned(),
        path => format!("upload::{path}"),
    };
    let step = call.step(&quote_spanned!(Span::mixed_site()=> self), |value| {
        call.convert(&path, quote!(), convert, value)
    });
    quote_spanned!(Span::mixed_site()=> #arguments #step)
}

/// Returns the file of a `#[handle_upload]`, checked against the return type of its
/// `#[allow_upload]`.
fn read(cx: &ExpandCtx<'_>, handler: &Handler<'_>, parameter: &Parameter<'_>) -> TokenStream {
    let span = Span::mixed_site();
    let declared = handler.literal.as_ref();
    let declared = declared.and_then(|name| cx.target.upload(&name.value()));
    let Some(output) = declared.and_then(Handler::output) else {
        return reported();
    };
    let (ty, output) = (cx.outside(parameter.ty), cx.outside(output));
    let (at, _) = crate::types::ends(&ty);
    let parameters = super::respan(quote!(<#output>), at);
    let read = cx.qualified_with(&ty, &ty, &quote!(upload::FileOf), parameters, "read");
    quote_spanned! {span=>
        match #read(__file) {
            __rt::Some(__value) => __value,
            // The type was checked above, so this is unreachable.
            __rt::None => {
                return __rt::HandlerFuture::ready(
                    __upload::Consumed::Postponed,
                );
            }
        }
    }
}
