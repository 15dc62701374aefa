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
    let krate = cx.krate;
    match cx.target.with(Role::AllowUpload).next() {
        Some(_) => quote_spanned!(Span::mixed_site()=> #krate::upload::UploadsExtension),
        None => quote!(()),
    }
}

/// Returns the table of uploads, in `impl TakesUploads`.
fn specs(cx: &ExpandCtx<'_>) -> TokenStream {
    let krate = cx.krate;
    let specs = cx.target.with(Role::AllowUpload).filter_map(|handler| {
        let (upload, cfgs) = (handler.upload.as_ref()?, handler.cfgs());
        handler.literal.as_ref()?;
        let spec = upload.spec(krate, !cx.target.is_handled(handler));
        Some(quote!(#(#cfgs)* #spec,))
    });
    quote_spanned! {Span::mixed_site()=>
        const UPLOADS: &'static [#krate::upload::UploadSpec] = &[#(#specs)*];
    }
}

/// Returns the beginning of `handle_in`, which handles the library's own events.
pub(super) fn handle_in(cx: &ExpandCtx<'_>) -> Option<TokenStream> {
    let krate = cx.krate;
    cx.target.with(Role::AllowUpload).next()?;
    Some(quote_spanned! {Span::mixed_site()=>
        if #krate::upload::is_event(__cx.event()) {
            return #krate::upload::handle_in(self, __cx, __payload);
        }
    })
}

/// Returns `impl TakesUploads`.
pub(super) fn takes_uploads(cx: &ExpandCtx<'_>) -> Option<TokenStream> {
    let krate = cx.krate;
    let span = Span::mixed_site();
    cx.target.with(Role::AllowUpload).next()?;
    let step = quote_spanned!(span=> #krate::__private::HandlerFuture);
    let destination = method(
        cx,
        Role::AllowUpload,
        quote_spanned! {span=> ::core::result::Result<
            #krate::upload::Destination,
            #krate::__private::Refusal,
        >},
        ("IntoDestination", "into_destination"),
        &quote_spanned!(span=> #step::ready(::core::result::Result::Err(
            #krate::__private::Refusal::empty(),
        ))),
    );
    let validate = method(
        cx,
        Role::ValidateUpload,
        quote_spanned!(span=> ::core::result::Result<(), #krate::__private::Refusal>),
        ("IntoValidity", "into_validity"),
        &quote_spanned!(span=> #step::ready(::core::result::Result::Ok(()))),
    );
    let uploaded = method(
        cx,
        Role::HandleUpload,
        quote_spanned!(span=> #krate::upload::Consumed),
        ("IntoConsumed", "into_consumed"),
        &quote_spanned!(span=> #step::ready(#krate::upload::Consumed::Postponed)),
    );
    let progressed = method(
        cx,
        Role::HandleProgress,
        quote_spanned!(span=> #krate::__private::NoReply),
        ("IntoNoReply", "into_no_reply"),
        &quote_spanned!(span=> #step::ready(#krate::__private::NoReply::CONTINUE)),
    );
    let specs = specs(cx);
    let items = quote_spanned!(span=> #specs #destination #validate #uploaded #progressed);
    let lint_attrs = cx.lint_attrs();
    let own = cx.ty().to_token_stream();
    let implementation = cx.implement("upload::TakesUploads", quote!(), &own, items);
    Some(quote_spanned!(span=> #lint_attrs #implementation))
}

/// Returns one method of the trait: a match over the names of the uploads.
fn method(
    cx: &ExpandCtx<'_>,
    role: Role,
    output: TokenStream,
    convert: (&str, &str),
    otherwise: &TokenStream,
) -> TokenStream {
    let krate = cx.krate;
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
        quote_spanned!(span=> __file: ::std::boxed::Box<
            dyn ::core::any::Any + ::core::marker::Send,
        >,)
    });
    quote_spanned! {span=>
        fn #name<'a>(
            &'a mut self,
            __cx: &'a #krate::__private::Context<'a, Self, #krate::__private::role::#role_name>,
            __upload: ::core::primitive::usize,
            __entry: #krate::upload::UploadEntry,
            #file
        ) -> #krate::__private::HandlerFuture<'a, #output> {
            match <Self as #krate::upload::TakesUploads>::UPLOADS[__upload].name() {
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
    let arguments = call.arguments(file, &quote!());
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
    let krate = cx.krate;
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
            ::core::option::Option::Some(__value) => __value,
            // The type was checked above, so this is unreachable.
            ::core::option::Option::None => {
                return #krate::__private::HandlerFuture::ready(
                    #krate::upload::Consumed::Postponed,
                );
            }
        }
    }
}
