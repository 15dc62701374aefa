//! The uploads of a channel: each is declared once, and a handler takes its files.

use super::{repeated, spaces};
use crate::{
    diagnostics::{Diagnostics, say, suggestion},
    model::{Handler, ParamSource, Target},
    role::Role,
};

/// The events that the library handles if there are uploads.
const EVENTS: [&str; 4] = [
    "allow_upload",
    "progress",
    "upload_validate",
    "upload_cancel",
];

pub(super) fn check(target: &Target<'_>, diagnostics: &mut Diagnostics) {
    declared_twice(target, diagnostics);
    for handler in &target.handlers {
        names(target, handler, diagnostics);
        borrowed(target, handler, diagnostics);
        reserved(target, handler, diagnostics);
    }
    for role in [
        Role::HandleUpload,
        Role::HandleProgress,
        Role::ValidateUpload,
    ] {
        handled_twice(target, role, diagnostics);
    }
    unhandled(target, diagnostics);
}

/// ```text
/// #[allow_upload("photos", accept = any)] …
/// #[allow_upload(«"photos"», accept = any)] …
/// ```
fn declared_twice(target: &Target<'_>, diagnostics: &mut Diagnostics) {
    repeated(
        target
            .with(Role::AllowUpload)
            .filter(|handler| handler.literal.is_some()),
        |first, second| first.named() == second.named(),
        |first, second| {
            if let Some(name) = &second.literal {
                let message = say::upload_twice(name.value(), first.name());
                second.wrong_on(diagnostics, name, message);
            }
        },
    );
}

/// ```text
/// #[handle_upload(«"fotos"»)] without #[allow_upload("fotos", …)]
/// #[«handle_progress»]
/// ```
fn names(target: &Target<'_>, handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    if !handler.role.is_upload() {
        return;
    }
    let Some(name) = &handler.literal else {
        if handler.is_nameless() {
            let message = match handler.role {
                Role::AllowUpload => say::upload_nameless(),
                role => say::upload_handler_nameless(role.name()),
            };
            handler.wrong_on(diagnostics, handler.attribute.name(), message);
        }
        return;
    };
    if let Some(message) = spaces(&name.value()) {
        return handler.wrong_on(diagnostics, name, message);
    }
    if handler.role != Role::AllowUpload && target.upload(&name.value()).is_none() {
        let message = say::upload_unknown(name.value(), meant(target, &name.value()));
        match target.is_incomplete() || has_nameless(target, Role::AllowUpload) {
            true => handler.leave_out(),
            false => handler.wrong_on(diagnostics, name, message),
        }
    }
}

/// Returns true if a handler of the role names no upload, and so may be meant for any.
fn has_nameless(target: &Target<'_>, role: Role) -> bool {
    target.with(role).any(|handler| handler.literal.is_none())
}

/// Returns `; did you mean …?` with a declared upload.
fn meant(target: &Target<'_>, given: &str) -> String {
    let declared: Vec<_> = target
        .with(Role::AllowUpload)
        .filter_map(Handler::named)
        .collect();
    let declared: Vec<_> = declared.iter().map(String::as_str).collect();
    suggestion(given, &declared)
}

/// ```text
/// #[handle_in("save")] fn save(&mut self, «fotos»: &Uploads<TempFile>) {}
/// ```
fn borrowed(target: &Target<'_>, handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    for parameter in &handler.parameters {
        if !matches!(parameter.source, ParamSource::Uploads(_))
            || handler.role == Role::Join
            || target.upload_of(parameter).is_some()
        {
            continue;
        }
        let name = parameter
            .ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        let message = say::upload_parameter(&name, meant(target, &name));
        match target.is_incomplete() {
            true => handler.leave_out(),
            false => handler.wrong_on(diagnostics, parameter.pattern, message),
        }
    }
}

/// ```text
/// #[handle_in(«"progress"»)] beside an #[allow_upload(…)]
/// ```
fn reserved(target: &Target<'_>, handler: &Handler<'_>, diagnostics: &mut Diagnostics) {
    if handler.role != Role::HandleIn || target.with(Role::AllowUpload).next().is_none() {
        return;
    }
    if let Some(event) = handler
        .literal
        .as_ref()
        .filter(|event| EVENTS.contains(&&*event.value()))
    {
        handler.wrong_on(diagnostics, event, say::upload_event(event.value()));
    }
}

/// ```text
/// #[handle_upload("photos")] …
/// #[handle_upload(«"photos"»)] …
/// ```
fn handled_twice(target: &Target<'_>, role: Role, diagnostics: &mut Diagnostics) {
    repeated(
        target
            .with(role)
            .filter(|handler| handler.literal.is_some()),
        |first, second| first.named() == second.named(),
        |first, second| {
            if let Some(name) = &second.literal {
                let message = say::upload_handled(name.value(), role.name(), first.name());
                second.wrong_on(diagnostics, name, message);
            }
        },
    );
}

/// ```text
/// #[allow_upload(«"photos"», accept = any)] without #[handle_upload("photos")]
/// ```
fn unhandled(target: &Target<'_>, diagnostics: &mut Diagnostics) {
    for upload in target.with(Role::AllowUpload) {
        let Some(name) = upload.literal.as_ref().filter(|_| !target.is_incomplete()) else {
            continue;
        };
        let taken = target.is_handled(upload) || target.is_borrowed(upload);
        if !taken && !has_nameless(target, Role::HandleUpload) {
            upload.wrong_on(diagnostics, name, say::upload_unhandled(name.value()));
        }
    }
}

impl Target<'_> {
    /// Returns true if a handler borrows the `Uploads` of an upload.
    fn is_borrowed(&self, upload: &Handler<'_>) -> bool {
        let mut parameters = self.handlers.iter().flat_map(|handler| &handler.parameters);
        parameters.any(|parameter| {
            matches!(parameter.source, ParamSource::Uploads(_))
                && self.upload_of(parameter).and_then(Handler::named) == upload.named()
        })
    }
}
