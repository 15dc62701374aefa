//! The page: part of the binary, without files of other hosts.

use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    routing::get,
};

/// The sources that the browser may load: this server's own files, and nothing inline.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'";

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $name))
    };
}

const FILES: [(&str, &str, &str); 10] = [
    ("/", "text/html", file!("static/index.html")),
    ("/app.js", JS, file!("static/app.js")),
    ("/view.js", JS, file!("static/view.js")),
    ("/words.js", JS, file!("static/words.js")),
    ("/style.css", "text/css", file!("static/style.css")),
    (
        "/phoenix.min.js",
        JS,
        file!("../chat/static/vendor/phoenix.min.js"),
    ),
    (
        "/channel-uploads/index.js",
        JS,
        file!("../../clients/channel-uploads/index.js"),
    ),
    (
        "/channel-uploads/entry.js",
        JS,
        file!("../../clients/channel-uploads/entry.js"),
    ),
    (
        "/channel-uploads/job.js",
        JS,
        file!("../../clients/channel-uploads/job.js"),
    ),
    (
        "/channel-uploads/transfer.js",
        JS,
        file!("../../clients/channel-uploads/transfer.js"),
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
        let named = FILES
            .iter()
            .filter(|(path, ..)| *path != "/phoenix.min.js")
            .flat_map(|(path, _, body)| {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let names = body.split(['"', '\'']).filter(|text| {
                    !text.contains(char::is_whitespace)
                        && (text.ends_with(".js") || text.ends_with(".css"))
                });
                names.map(move |name| match name.strip_prefix("./") {
                    Some(relative) => format!("{folder}/{relative}"),
                    None => name.to_owned(),
                })
            });
        for file in named {
            assert!(FILES.iter().any(|(path, ..)| *path == file), "{file}");
        }
    }
}
