//! The session's token in a request: a header of new clients, a query parameter of old ones.

use axum::http::{HeaderMap, HeaderName, Uri, request::Parts, uri::PathAndQuery};

const HEADER: HeaderName = HeaderName::from_static("x-phoenix-longpoll-token");
const PARAMETER: &str = "token";

/// Returns the possible session tokens of a request: the header's, then the query's last.
pub(super) fn tokens(request: &Parts) -> impl Iterator<Item = &str> {
    let query = request.uri.query().unwrap_or_default();
    header(&request.headers)
        .into_iter()
        .chain(last(query).map(|(_, token)| token))
}

fn header(headers: &HeaderMap) -> Option<&str> {
    headers.get(HEADER)?.to_str().ok()
}

/// Returns the query's last token, and its index among the parameters.
fn last(query: &str) -> Option<(usize, &str)> {
    let pairs = query.split('&').enumerate();
    pairs
        .filter_map(|(at, pair)| Some((at, value(pair)?)))
        .last()
}

fn value(pair: &str) -> Option<&str> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (name == PARAMETER).then_some(value)
}

/// Returns the URI without the session's token, or `None` if it has no such token, so that connect
/// sees only its own parameters. The official client appends the session's token to them, `null` if
/// it has none yet, even if the application has a `token` of its own.
pub(super) fn without_session(uri: &Uri, is_session: impl Fn(&str) -> bool) -> Option<Uri> {
    let query = uri.query()?;
    let (at, token) = last(query)?;
    let several = query.split('&').filter_map(value).nth(1).is_some();
    if !(several || ["", "null", "undefined"].contains(&token) || is_session(token)) {
        return None;
    }
    let pairs = query.split('&').enumerate();
    let rest: Vec<_> = pairs
        .filter(|(other, _)| *other != at)
        .map(|(_, pair)| pair)
        .collect();
    let path = format!("{}?{}", uri.path(), rest.join("&"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn request(uri: &str, header: Option<&str>) -> Parts {
        let mut request = Request::builder().uri(uri);
        if let Some(token) = header {
            request = request.header("X-Phoenix-LongPoll-Token", token);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_header_comes_first_and_the_last_parameter_counts() {
        let all = |uri, header| {
            let request = request(uri, header);
            tokens(&request).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(all("/?token=a&vsn=2&token=b", Some("h")), ["h", "b"]);
        assert_eq!(all("/?token", None), [""]);
        assert_eq!(all("/?tokens=a&atoken=b", None), Vec::<String>::new());
        assert_eq!(all("/", None), Vec::<String>::new());
    }

    #[test]
    fn the_applications_own_token_stays() {
        for (uri, left) in [
            (
                "/s?token=mine&vsn=2.0.0&token=null",
                Some("/s?token=mine&vsn=2.0.0"),
            ),
            ("/s?token=mine&token=session", Some("/s?token=mine")),
            ("/s?token=session&vsn=2.0.0", Some("/s?vsn=2.0.0")),
            ("/s?vsn=2.0.0&token=null", Some("/s?vsn=2.0.0")),
            ("/s?vsn=2.0.0&token=", Some("/s?vsn=2.0.0")),
            ("/s?token=mine&vsn=2.0.0", None),
            ("/s?vsn=2.0.0", None),
            ("/s", None),
        ] {
            let uri: Uri = uri.parse().unwrap();
            let rest = without_session(&uri, |token| token == "session");
            assert_eq!(rest.map(|uri| uri.to_string()).as_deref(), left, "{uri}");
        }
    }
}
