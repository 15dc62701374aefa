//! The page: part of the binary, without files of other hosts. For development, with the feature
//! `reload`, its files are read on each request.

use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    routing::get,
};

/// The sources that the browser may load: this server's own files, and nothing inline.
const POLICY: &str = "default-src 'self'; img-src 'self' data:";

/// The folder of the files.
#[cfg(feature = "reload")]
pub(crate) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/static");

/// Expands to a function that returns a file's text.
#[cfg(not(feature = "reload"))]
macro_rules! file {
    ($name:literal) => {
        || std::borrow::Cow::Borrowed(include_str!(concat!("../static/", $name)))
    };
}
#[cfg(feature = "reload")]
macro_rules! file {
    ($name:literal) => {
        || {
            let text = std::fs::read_to_string(format!("{FOLDER}/{}", $name));
            text.unwrap_or_else(|error| format!("{}: {error}", $name))
                .into()
        }
    };
}

type Text = fn() -> std::borrow::Cow<'static, str>;

const FILES: [(&str, &str, Text); 5] = [
    ("/", "text/html", file!("index.html")),
    ("/app.js", JS, file!("app.js")),
    ("/view.js", JS, file!("view.js")),
    ("/style.css", "text/css", file!("style.css")),
    ("/phoenix.min.js", JS, file!("vendor/phoenix.min.js")),
];
const JS: &str = "text/javascript";

pub(crate) fn router() -> Router {
    FILES
        .into_iter()
        .fold(Router::new(), |router, (path, kind, body)| {
            let headers = [
                (CONTENT_TYPE, format!("{kind}; charset=utf-8")),
                (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
                (CACHE_CONTROL, "no-cache".to_owned()),
            ];
            router.route(path, get(move || async move { (headers, body()) }))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_no_other_host() {
        for (path, _, body) in FILES.iter().filter(|(path, ..)| *path != "/phoenix.min.js") {
            for mark in ["http://", "https://", "src=\"//", "@import"] {
                let used = body()
                    .replace("http://www.w3.org/2000/svg", "")
                    .contains(mark);
                assert!(!used, "{path} contains {mark}");
            }
        }
    }

    #[test]
    fn every_file_the_page_names_is_served() {
        let (_, _, html) = FILES[0];
        let html = html();
        let named = html.split(['"', '\'']).filter(|text| {
            text.starts_with('/') && (text.ends_with(".js") || text.ends_with(".css"))
        });
        for file in named {
            assert!(FILES.iter().any(|(path, ..)| *path == file), "{file}");
        }
    }
}
