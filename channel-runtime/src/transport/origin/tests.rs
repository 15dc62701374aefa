use axum::http::{HeaderValue, Request, header};
use proptest::prelude::*;

use super::*;
use crate::endpoint::Endpoint;

fn request(headers: &[(&str, &str)]) -> Parts {
    let request = headers
        .iter()
        .fold(Request::builder().uri("/socket/websocket"), |request, h| {
            request.header(h.0, h.1)
        });
    request.body(()).unwrap().into_parts().0
}

fn endpoint(url: Option<&str>) -> Endpoint {
    let builder = Endpoint::builder();
    match url {
        Some(url) => builder.url(url),
        None => builder,
    }
    .build()
    .unwrap()
}

fn passes(check: &CheckOrigin, url: Option<&str>, host: &str, origin: &str) -> bool {
    let request = request(&[("host", host), ("origin", origin)]);
    check_origin(check, &endpoint(url), &request).is_ok()
}

#[test]
fn a_list_allows_what_its_entries_name() {
    let table = [
        ("https://example.com", "https://example.com", true),
        ("https://example.com", "https://example.com:443", true),
        ("https://example.com", "https://example.com:444", false),
        ("https://example.com", "http://example.com", false),
        ("https://example.com", "http://example.com:443", false),
        ("https://example.com", "https://EXAMPLE.com", false),
        ("https://example.com", "https://example.com.evil.net", false),
        ("https://example.com", "https://example.com@evil.net", false),
        ("https://example.com", "https://evil.net/example.com", false),
        ("https://example.com:8443", "https://example.com:8443", true),
        ("https://example.com:8443", "https://example.com", false),
        ("//example.com", "http://example.com:1234", true),
        ("//example.com", "app://example.com", true),
        ("//example.com", "https://www.example.com", false),
        (
            "//port.example.net:8080",
            "http://port.example.net:8080",
            true,
        ),
        ("//port.example.net:8080", "http://port.example.net", false),
        ("//example.com:80", "http://example.com", true),
        ("//*.example.org", "https://a.b.example.org", true),
        ("//*.example.org", "http://example.org", true),
        ("//*.example.org", "http://badexample.org", false),
        ("//*.example.org", "http://example.org.net", false),
        ("http://*.example.org", "https://a.example.org", false),
        ("https://*", "https://anything.net", true),
        ("https://*", "http://anything.net", false),
        ("//[::1]:4000", "http://[::1]:4000", true),
        ("//[::1]:4000", "http://[::2]:4000", false),
        ("tauri://localhost", "tauri://localhost", true),
        ("//example.com", "null", false),
        ("//example.com", "", false),
        ("//example.com", "example.com", false),
        ("//example.com", "//example.com", false),
        ("//example.com", "https://", false),
        ("//example.com", "https://example.com:", false),
        ("//example.com", "https://example.com:99999", false),
        ("//example.com", "https://example.com:+80", false),
        ("//example.com", "https://example.com/", false),
    ];
    for (entry, origin, expected) in table {
        let check = CheckOrigin::list([entry]);
        check.check().unwrap();
        let allowed = passes(&check, None, "server.test", origin);
        assert_eq!(allowed, expected, "{origin:?} with {entry:?}");
    }
    assert!(!passes(
        &CheckOrigin::list([""; 0]),
        None,
        "x",
        "https://example.com"
    ));
}

#[test]
fn an_entry_that_cannot_work_is_refused_when_the_endpoint_is_built() {
    for entry in [
        "",
        "example.com",
        "https:/example.com",
        "https//example.com",
        "https://",
        "https://example.com/",
        "https://example.com/path",
        "https://Example.com",
        "HTTPS://example.com",
        "https://exämple.com",
        "//a.*.example.com",
        "//*example.com",
        "//*.",
        "//**",
        "//example.com:0x50",
        "//example.com:70000",
        "ht tp://example.com",
    ] {
        let error = CheckOrigin::list(["//fine.net", entry])
            .check()
            .unwrap_err();
        assert!(error.to_string().contains(&format!("{entry:?}")), "{error}");
    }
}

#[test]
fn the_endpoints_host_is_the_configured_one_or_the_requests() {
    let host = CheckOrigin::host();
    let table = [
        (Some("http://localhost"), "x", "http://localhost:9999", true),
        (Some("http://localhost"), "x", "https://localhost", true),
        (
            Some("http://localhost"),
            "127.0.0.1",
            "http://127.0.0.1",
            false,
        ),
        (
            Some("//example.com"),
            "proxy:1",
            "https://example.com",
            true,
        ),
        (None, "127.0.0.1:4000", "http://127.0.0.1:4000", true),
        (None, "localhost:4000", "http://localhost:4000", true),
        (None, "localhost:4000", "http://localhost:3000", true),
        (None, "[::1]:4000", "http://[::1]:4000", true),
        (None, "localhost:4000", "http://evil.net", false),
        (None, "localhost:4000", "null", false),
    ];
    for (url, sent_to, origin, expected) in table {
        let allowed = passes(&host, url, sent_to, origin);
        assert_eq!(allowed, expected, "{origin:?} at {sent_to:?} with {url:?}");
    }
}

#[test]
fn the_connections_origin_is_scheme_host_and_port() {
    let connection = CheckOrigin::connection();
    let tls = Some("https://elsewhere.net");
    let table = [
        (None, "127.0.0.1:4000", "http://127.0.0.1:4000", true),
        (None, "127.0.0.1:4000", "https://127.0.0.1:4000", false),
        (None, "127.0.0.1:4000", "http://127.0.0.1:1", false),
        (None, "example.com", "http://example.com", true),
        (None, "example.com", "http://example.com:80", true),
        (None, "example.com", "https://example.com", false),
        (tls, "example.com", "https://example.com", true),
        (tls, "example.com", "http://example.com", false),
        (tls, "example.com", "https://elsewhere.net", false),
    ];
    for (url, sent_to, origin, expected) in table {
        let allowed = passes(&connection, url, sent_to, origin);
        assert_eq!(allowed, expected, "{origin:?} at {sent_to:?} with {url:?}");
    }
    let mut request = request(&[("origin", "https://example.com"), ("host", "inner:4000")]);
    request.uri = "https://example.com/socket/websocket".parse().unwrap();
    assert_eq!(check_origin(&connection, &endpoint(None), &request), Ok(()));
}

#[test]
fn a_function_decides_and_one_that_panics_refuses() {
    let check = CheckOrigin::by(|origin| {
        assert!(origin.host() != "crash.net", "as told");
        origin.scheme() == "https" && origin.port() == Some(443)
    });
    assert!(passes(&check, None, "x", "https://any.net"));
    assert!(!passes(&check, None, "x", "http://any.net"));
    assert!(!passes(&check, None, "x", "https://crash.net"));
    assert!(!passes(&check, None, "x", "null"));
}

#[test]
fn without_the_header_every_check_passes_and_with_two_none_does() {
    let refused = CheckOrigin::by(|_| false);
    let check = |headers| check_origin(&refused, &endpoint(None), &request(headers));
    assert_eq!(check(&[("host", "x")]), Ok(()));
    let twice = [("origin", "http://a.net"), ("origin", "http://a.net")];
    let all = CheckOrigin::by(|_| true);
    assert_eq!(
        check_origin(&all, &endpoint(None), &request(&twice)),
        Err(ConnectError::Origin)
    );
    let off = CheckOrigin::off();
    assert_eq!(
        check_origin(&off, &endpoint(None), &request(&twice)),
        Ok(())
    );
}

#[test]
fn an_origin_that_is_no_text_is_refused() {
    let mut request = request(&[("host", "x")]);
    let bytes = HeaderValue::from_bytes(b"https://\xff.net").unwrap();
    request.headers.insert(header::ORIGIN, bytes);
    assert_eq!(
        check_origin(&CheckOrigin::default(), &endpoint(None), &request),
        Err(ConnectError::Origin)
    );
}

proptest! {
    #[test]
    fn no_origin_panics_and_none_passes_but_its_own(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let Ok(origin) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let mut request = request(&[("host", "example.com")]);
        request.headers.insert(header::ORIGIN, origin);
        for check in [
            CheckOrigin::host(),
            CheckOrigin::connection(),
            CheckOrigin::list(["//example.com", "https://*.example.org"]),
        ] {
            let refused = check_origin(&check, &endpoint(None), &request).is_err();
            prop_assert!(refused, "{:?}", request.headers);
        }
    }

    #[test]
    fn a_wildcard_takes_every_subdomain_and_nothing_beside(name in "[a-z0-9.-]{1,20}") {
        let check = CheckOrigin::list(["//*.example.org"]);
        let allowed = |origin: &str| passes(&check, None, "x", origin);
        let below = format!("https://{name}.example.org:81");
        prop_assert!(allowed(&below), "{}", below);
        let behind = format!("https://example.org.{name}");
        prop_assert!(!allowed(&behind) || name.ends_with("example.org"), "{}", behind);
        let beside = format!("https://{name}example.org");
        prop_assert_eq!(allowed(&beside), name.ends_with('.'), "{}", beside);
    }

    #[test]
    fn a_configured_url_is_read_or_refused(url in "(https?:)?//?[a-zA-Z0-9.*:/\\[\\]-]{0,30}") {
        let _either = Endpoint::builder().url(url).build();
    }
}
