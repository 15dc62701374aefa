//! The page: part of the binary, and in need of no other host.

use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    routing::get,
};

/// What the browser may load: this server's own files, and nothing inline.
const POLICY: &str = "default-src 'self'; img-src 'self' data:";

const FILES: [(&str, &str, &str); 5] = [
    ("/", "text/html", include_str!("../static/index.html")),
    ("/app.js", JS, include_str!("../static/app.js")),
    ("/view.js", JS, include_str!("../static/view.js")),
    (
        "/style.css",
        "text/css",
        include_str!("../static/style.css"),
    ),
    (
        "/phoenix.min.js",
        JS,
        include_str!("../static/vendor/phoenix.min.js"),
    ),
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
            router.route(path, get(move || async move { (headers, body) }))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_no_other_host() {
        for (path, _, body) in FILES.iter().filter(|(path, ..)| *path != "/phoenix.min.js") {
            for mark in ["http://", "https://", "src=\"//", "@import"] {
                let used = body
                    .replace("http://www.w3.org/2000/svg", "")
                    .contains(mark);
                assert!(!used, "{path} contains {mark}");
            }
        }
    }

    #[test]
    fn every_file_the_page_names_is_served() {
        let (_, _, html) = FILES[0];
        let named = html.split(['"', '\'']).filter(|text| {
            text.starts_with('/') && (text.ends_with(".js") || text.ends_with(".css"))
        });
        for file in named {
            assert!(FILES.iter().any(|(path, ..)| *path == file), "{file}");
        }
    }
}
