use axum::{
    Extension, Router,
    body::Body,
    http::{Method, Request, Response, StatusCode},
    routing::any,
};
use tower::ServiceExt;

use super::*;

fn app(force: ForceSsl) -> Router {
    let app = Router::new().fallback(any(
        |address: Option<Extension<ClientAddress>>| async move {
            let port = address.and_then(|Extension(address)| address.port);
            format!("{port:?}")
        },
    ));
    app.layer(force)
}

async fn answer(app: Router, request: Request<Body>) -> (StatusCode, String, String) {
    let response: Response<Body> = app.oneshot(request).await.unwrap();
    let header = |name: &str| match response.headers().get(name) {
        Some(value) => value.to_str().unwrap().to_owned(),
        None => String::new(),
    };
    (
        response.status(),
        header("location"),
        header("strict-transport-security"),
    )
}

fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

const YEAR: &str = "max-age=31536000";

#[tokio::test]
async fn plain_http_is_sent_to_https() {
    for (method, status) in [
        ("GET", StatusCode::MOVED_PERMANENTLY),
        ("HEAD", StatusCode::MOVED_PERMANENTLY),
        ("POST", StatusCode::TEMPORARY_REDIRECT),
        ("OPTIONS", StatusCode::TEMPORARY_REDIRECT),
    ] {
        let request = request(method, "/a/b?c=d&e", &[("host", "example.com:8080")]);
        let (got, location, hsts) = answer(app(ForceSsl::new()), request).await;
        assert_eq!(
            (got, &*location, &*hsts),
            (status, "https://example.com/a/b?c=d&e", ""),
            "{method}"
        );
    }
}

#[tokio::test]
async fn https_is_answered_and_told_to_stay() {
    let secure = app(ForceSsl::new()).layer(Extension(Https));
    let request = request("GET", "/", &[("host", "example.com")]);
    let (status, location, hsts) = answer(secure, request).await;
    assert_eq!((status, &*location, &*hsts), (StatusCode::OK, "", YEAR));
}

#[tokio::test]
async fn hsts_says_what_it_was_told() {
    let full = Hsts::default()
        .max_age(Duration::from_secs(60))
        .include_subdomains()
        .preload();
    for (force, expected) in [
        (
            ForceSsl::new().hsts(full),
            "max-age=60; includeSubDomains; preload",
        ),
        (
            ForceSsl::new().hsts(Hsts::default().max_age(Duration::ZERO)),
            "max-age=0",
        ),
        (ForceSsl::new().without_hsts(), ""),
    ] {
        let secure = app(force).layer(Extension(Https));
        let request = request("GET", "/", &[("host", "example.com")]);
        assert_eq!(answer(secure, request).await.2, expected);
    }
}

#[tokio::test]
async fn forwarded_headers_count_only_when_trusted() {
    let forwarded = [
        ("host", "inside"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.com"),
    ];
    let ask = |force| answer(app(force), request("GET", "/", &forwarded));
    let (status, location, _) = ask(ForceSsl::new()).await;
    assert_eq!(
        (status, &*location),
        (StatusCode::MOVED_PERMANENTLY, "https://inside/")
    );
    let (status, _, hsts) = ask(ForceSsl::new().trust(Forwarded::Proto)).await;
    assert_eq!((status, &*hsts), (StatusCode::OK, YEAR));
    let (_, location, _) = ask(ForceSsl::new().trust(Forwarded::Host)).await;
    assert_eq!(location, "https://evil.com/");
}

#[tokio::test]
async fn the_nearest_proxys_word_counts() {
    for (protos, secure) in [
        (&["https"][..], true),
        (&["HTTPS"], true),
        (&["wss"], true),
        (&["http, https"], true),
        (&["https, http"], false),
        (&["https", "http"], false),
        (&["http"], false),
        (&[""], false),
        (&[], false),
    ] {
        let mut headers = vec![("host", "example.com")];
        headers.extend(protos.iter().map(|proto| ("x-forwarded-proto", *proto)));
        let force = ForceSsl::new().trust(Forwarded::Proto);
        let (status, ..) = answer(app(force), request("GET", "/", &headers)).await;
        assert_eq!(status == StatusCode::OK, secure, "{protos:?}");
    }
}

#[tokio::test]
async fn excluded_hosts_are_left_alone() {
    let health = || ForceSsl::new().exclude_if(|_, uri| uri.path() == "/health");
    for (force, uri, host, passes) in [
        (ForceSsl::new(), "/", "localhost", true),
        (ForceSsl::new(), "/", "LOCALHOST:4000", true),
        (ForceSsl::new(), "/", "localhost.example.com", false),
        (
            ForceSsl::new().exclude_hosts(["Inside"]),
            "/",
            "inside:80",
            true,
        ),
        (
            ForceSsl::new().exclude_hosts(["inside"]),
            "/",
            "localhost",
            false,
        ),
        (health(), "/health", "example.com", true),
        (health(), "/healthy", "example.com", false),
    ] {
        let (status, _, hsts) = answer(app(force), request("GET", uri, &[("host", host)])).await;
        assert_eq!((status == StatusCode::OK, &*hsts), (passes, ""), "{host}");
    }
}

#[tokio::test]
async fn a_configured_host_takes_the_place_of_the_requests() {
    for (uri, headers) in [
        ("/x", &[("host", "evil.com")][..]),
        ("/x", &[("host", "not a host")]),
        ("/x", &[]),
        ("http://evil.com/x", &[]),
    ] {
        let force = ForceSsl::new().host("example.com:8443");
        let (_, location, _) = answer(app(force), request("GET", uri, headers)).await;
        assert_eq!(location, "https://example.com:8443/x");
    }
}

#[tokio::test]
async fn a_request_that_names_no_usable_host_is_refused() {
    for headers in [
        &[][..],
        &[("host", "")],
        &[("host", "not a host")],
        &[("host", "user@example.com")],
    ] {
        let (status, location, _) =
            answer(app(ForceSsl::new()), request("GET", "/", headers)).await;
        assert_eq!(
            (status, &*location),
            (StatusCode::BAD_REQUEST, ""),
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn a_path_that_looks_like_a_host_stays_a_path() {
    let request = request("GET", "//evil.com/%0d%0ax", &[("host", "example.com")]);
    let (_, location, _) = answer(app(ForceSsl::new()), request).await;
    assert_eq!(location, "https://example.com//evil.com/%0d%0ax");
}

#[tokio::test]
async fn handlers_learn_the_clients_port_from_a_trusted_header() {
    let force = ForceSsl::new()
        .trust(Forwarded::Proto)
        .trust(Forwarded::Port);
    let headers = [
        ("host", "[::1]:4000"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
    ];
    let response = app(force)
        .oneshot(request("GET", "/", &headers))
        .await
        .unwrap();
    let body = axum::body::to_bytes(response.into_body(), 100)
        .await
        .unwrap();
    assert_eq!(body, "Some(443)");
}

#[test]
#[should_panic(expected = "is not a host")]
fn a_configured_host_that_is_none_is_a_mistake_of_the_program() {
    let _force = ForceSsl::new().host("https://example.com");
}
