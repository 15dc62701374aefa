//! For any input of a client there is an answer, and no effect on others.

use axum::{
    body::Body,
    http::{HeaderValue, Method, Request},
};
use proptest::prelude::*;

use crate::support::{
    poll_client::{Client, send},
    polled_room::{WINDOW, endpoint},
};

/// One request: its token, and the rest of it.
#[derive(Clone, Debug)]
struct Nonsense {
    method: &'static str,
    token: Token,
    content_type: &'static str,
    query: String,
    body: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Token {
    Own,
    Cut(prop::sample::Index),
    Other(String),
}

fn nonsense() -> impl Strategy<Value = Nonsense> {
    let token = prop_oneof![
        4 => Just(Token::Own),
        1 => any::<prop::sample::Index>().prop_map(Token::Cut),
        1 => "[ -~]{0,40}".prop_map(Token::Other),
    ];
    let body = prop_oneof![
        any::<Vec<u8>>(),
        "(\\[[\",0-9a-z\\[\\]{}:]{0,40}\\]?\n?){0,4}".prop_map(String::into_bytes),
        "([A-Za-z0-9+/]{4}){0,20}=?\n".prop_map(String::into_bytes),
    ];
    (
        prop_oneof![4 => Just("POST"), 2 => Just("GET"), 1 => Just("OPTIONS"), 1 => Just("PUT")],
        token,
        prop_oneof![Just("application/x-ndjson"), Just("text/plain")],
        "([a-z\\[\\]%0-9=]{0,12}&?){0,3}",
        body,
    )
        .prop_map(|(method, token, content_type, query, body)| Nonsense {
            method,
            token,
            content_type,
            query,
            body,
        })
}

impl Nonsense {
    fn request(self, token: &str) -> Option<Request<Body>> {
        let header = match self.token {
            Token::Own => token.to_owned(),
            Token::Cut(at) => token[..at.index(token.len())].to_owned(),
            Token::Other(other) => other,
        };
        let request = Request::builder()
            .method(Method::from_bytes(self.method.as_bytes()).ok()?)
            .uri(format!("/socket/longpoll?{}", self.query))
            .header("content-type", self.content_type)
            .header(
                "x-phoenix-longpoll-token",
                HeaderValue::from_str(&header).ok()?,
            );
        request.body(Body::from(self.body)).ok()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_request_is_answered_and_leaves_nothing(
        requests in prop::collection::vec(nonsense(), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let endpoint = endpoint();
            let (victim, other) = (Client::open(&endpoint).await, Client::open(&endpoint).await);
            let requests = requests.into_iter().filter_map(|request| request.request(&victim.token));
            for request in requests {
                let answered = tokio::time::timeout(WINDOW * 2, send(&victim.app, request)).await;
                let answer = answered.expect("no answer");
                assert!(answer.http.as_u16() < 500, "{answer:?}");
                other.lives().await;
            }
            tokio::time::sleep(WINDOW * 4).await;
            assert_eq!(endpoint.connection_count(), 0);
            assert_eq!(endpoint.long_poll_session_count(), 0);
        });
    }
}
