use super::*;

fn endpoint() -> Endpoint {
    Endpoint::builder().secret_key([7; 32]).build().unwrap()
}

fn cookie() -> CookieSession {
    CookieSession::new("_app").unwrap()
}

fn ada() -> Session {
    let mut session = Session::new().unwrap();
    session.insert("user", &"ada").unwrap();
    session
}

/// Returns the headers that a browser sends back after `set-cookie`.
fn request(set_cookie: &HeaderValue) -> HeaderMap {
    let pair = set_cookie.to_str().unwrap().split(';').next().unwrap();
    let line = format!("other=1; {pair}; _app2=2");
    HeaderMap::from_iter([(header::COOKIE, line.parse().unwrap())])
}

#[test]
fn a_browser_brings_back_what_was_written() {
    let (endpoint, session) = (endpoint(), ada());
    let set_cookie = cookie().write(&endpoint, &session).unwrap();
    let text = set_cookie.to_str().unwrap();
    assert!(text.ends_with("; Path=/; Max-Age=1209600; HttpOnly; SameSite=Lax"));
    assert!(!text.contains("ada") && !format!("{set_cookie:?}").contains("_app"));
    let read = cookie().read(&endpoint, &request(&set_cookie)).unwrap();
    assert_eq!(read, session);
    assert_eq!(read.get::<String>("user").as_deref(), Some("ada"));
    assert_eq!(
        (read.get::<u64>("user"), read.get::<u64>("none")),
        (None, None)
    );
    assert_eq!(format!("{read:?}"), r#"Session(["user"])"#);
}

#[test]
fn what_was_not_written_here_is_no_session() {
    let (endpoint, session) = (endpoint(), ada());
    let set_cookie = cookie().write(&endpoint, &session).unwrap();
    let elsewhere = Endpoint::builder().build().unwrap();
    assert_eq!(cookie().read(&elsewhere, &request(&set_cookie)), None);
    let other = CookieSession::new("_app2").unwrap();
    assert_eq!(other.read(&endpoint, &request(&set_cookie)), None);
    let csrf = cookie().csrf_token(&endpoint, &session).unwrap();
    for value in ["", "x", csrf.as_str(), "ü"] {
        let line = HeaderValue::from_str(&format!("_app={value}")).unwrap();
        let headers = HeaderMap::from_iter([(header::COOKIE, line)]);
        assert_eq!(cookie().read(&endpoint, &headers), None, "{value}");
    }
    assert_eq!(cookie().read(&endpoint, &HeaderMap::new()), None);
}

#[test]
fn a_cookie_that_is_planted_before_ours_does_not_hide_it() {
    let (endpoint, session) = (endpoint(), ada());
    let mut headers = request(&cookie().write(&endpoint, &session).unwrap());
    let planted = HeaderMap::from_iter([(header::COOKIE, "_app=planted".parse().unwrap())]);
    let ours = headers.remove(header::COOKIE).unwrap();
    headers.extend(planted);
    headers.append(header::COOKIE, ours);
    assert_eq!(cookie().read(&endpoint, &headers), Some(session));
}

#[test]
fn a_page_proves_with_a_token_that_the_session_is_its_own() {
    let (endpoint, session) = (endpoint(), ada());
    let headers = request(&cookie().write(&endpoint, &session).unwrap());
    let token = |session| cookie().csrf_token(&endpoint, session).unwrap();
    let of_page = |query: String| cookie().of_page(&endpoint, &headers, &Params::from_query(query));
    let own = token(&session);
    assert_ne!(own, token(&session));
    assert_eq!(of_page(format!("_csrf_token={own}")), Some(session.clone()));
    let strangers = token(&ada());
    for query in [
        String::new(),
        "_csrf_token=".to_owned(),
        format!("_csrf_token={strangers}"),
        format!("_csrf_token[]={own}"),
        format!("_csrf_token={own}x"),
    ] {
        assert_eq!(of_page(query), None);
    }
}

#[test]
fn a_session_that_does_not_fit_is_an_error_where_it_is_written() {
    let (endpoint, mut session) = (endpoint(), ada());
    session.insert("much", &"x".repeat(4000)).unwrap();
    let error = cookie().write(&endpoint, &session).unwrap_err();
    assert!(matches!(error, SealError::CookieTooLong { len } if len > 4096));
    session.remove("much");
    assert!(cookie().write(&endpoint, &session).is_ok());
}

#[test]
fn behind_tls_the_cookie_is_for_tls_alone() {
    let endpoint = Endpoint::builder()
        .url("https://example.com")
        .build()
        .unwrap();
    let forget = cookie().forget(&endpoint).unwrap();
    let expected = "_app=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure";
    assert_eq!(forget.to_str().unwrap(), expected);
}

#[test]
fn a_cookie_has_the_name_of_a_cookie() {
    for name in ["", "a b", "a=b", "a;b", "ü"] {
        let error = CookieSession::new(name).unwrap_err().to_string();
        assert!(error.contains(&format!("{name:?}")), "{error}");
    }
    let read: CookieSession = serde_json::from_str(r#"{"cookie": "_app"}"#).unwrap();
    assert_eq!(read, cookie());
    assert!(serde_json::from_str::<CookieSession>(r#"{"cookie": "a b"}"#).is_err());
    assert!(serde_json::from_str::<CookieSession>(r#"{"cookie": "a", "age": 1}"#).is_err());
}
