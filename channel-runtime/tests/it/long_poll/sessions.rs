//! A conversation: sessions open, messages go both ways.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use channel_runtime::{CheckOrigin, LongPollOptions, SocketOptions};
use serde_json::json;

use crate::support::{
    poll_client::{Client, NDJSON, get, reply, send},
    polled_room::{User, endpoint, endpoint_with, heard, said},
};

#[tokio::test(start_paused = true)]
async fn a_client_joins_pushes_and_hears_broadcasts() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join("room:1").await;
    let ping = json!(["1", "2", "room:1", "ping", {"n": 1}]);
    assert_eq!(client.publish(&[ping]).await, 200);
    let answer = client.poll_by_header().await;
    assert_eq!(
        answer.messages(),
        [reply("2", "room:1", "ok", json!({"n": 1}))]
    );
    endpoint.broadcast("room:1", &said("hi")).await.unwrap();
    assert_eq!(client.messages().await, [heard("room:1", "hi")]);
    assert_eq!(
        (
            endpoint.connection_count(),
            endpoint.long_poll_session_count()
        ),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn every_answer_can_be_read_by_any_page_and_is_kept_by_nobody() {
    let client = Client::open(&endpoint()).await;
    let bogus = "/socket/longpoll?vsn=2.0.0&token=bogus";
    let denied = "/socket/longpoll?vsn=2.0.0&deny=true";
    for answer in [
        get(&client.app, bogus, None).await,
        get(&client.app, denied, None).await,
        client.poll().await,
        client.post("text/plain", "[").await,
        client.post("text/plain", "[").await,
    ] {
        let header = |name| {
            answer
                .headers
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        assert_eq!(header("cache-control"), Some("no-store"), "{answer:?}");
        assert_eq!(header("access-control-allow-origin"), Some("*"));
        assert_eq!(
            header("content-type"),
            Some("application/json; charset=utf-8")
        );
        assert_eq!(answer.http, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_preflight_allows_what_a_client_sends() {
    let request = Request::options("/socket/longpoll?vsn=2.0.0")
        .header("origin", "https://example.com")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "content-type,x-phoenix-longpoll-token",
        )
        .body(Body::empty())
        .unwrap();
    let options = LongPollOptions::default().check_origin(CheckOrigin::off());
    let endpoint = endpoint_with(SocketOptions::default().long_poll(options));
    let answer = send(&endpoint.router(), request).await;
    assert_eq!(answer.http, StatusCode::OK);
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        (
            "access-control-allow-headers",
            "content-type,x-phoenix-longpoll-token",
        ),
        ("access-control-allow-methods", "GET, POST, OPTIONS"),
        ("access-control-max-age", "3600"),
    ] {
        assert_eq!(answer.headers.get(name).unwrap(), value);
    }
    assert_eq!(endpoint.long_poll_session_count(), 0);
}

#[tokio::test]
async fn other_methods_are_no_requests_of_a_client() {
    let app = endpoint().router();
    for method in ["PUT", "DELETE", "HEAD", "PATCH", "BREW"] {
        let request = Request::builder()
            .method(method)
            .uri("/socket/longpoll?vsn=2.0.0");
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.http, StatusCode::BAD_REQUEST, "{method}");
    }
}

#[tokio::test]
async fn a_socket_is_not_polled_unless_its_options_say_so() {
    let app = endpoint_with(SocketOptions::default()).router();
    let answer = get(&app, "/socket/longpoll?vsn=2.0.0", None).await;
    assert_eq!(answer.http, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_is_not_let_in_is_told_so_in_the_body() {
    let endpoint = endpoint();
    for (query, http, status) in [
        ("vsn=2.0.0&deny=true", 200, 403),
        ("vsn=3.0.0", 200, 403),
        ("vsn[]=2.0.0", 200, 403),
        ("vsn=2.0.0&deny=perhaps", 200, 403),
        ("vsn=2.0.0&crash=true", 500, 500),
    ] {
        let uri = format!("/socket/longpoll?{query}");
        let answer = get(&endpoint.router(), &uri, None).await;
        assert_eq!(
            (answer.http.as_u16(), answer.status()),
            (http, status),
            "{query}"
        );
    }
    assert_eq!(
        (
            endpoint.connection_count(),
            endpoint.long_poll_session_count()
        ),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn messages_wait_in_order_between_polls() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join("room:1").await;
    for n in 0..20 {
        endpoint
            .broadcast("room:1", &said(&n.to_string()))
            .await
            .unwrap();
    }
    let expected: Vec<_> = (0..20).map(|n| heard("room:1", &n.to_string())).collect();
    assert_eq!(client.take(20).await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_bounded_and_the_rest_comes_with_the_next_poll() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join("room:1").await;
    let large = "x".repeat(600_000);
    for n in 0..5 {
        endpoint
            .broadcast("room:1", &said(&format!("{n}{large}")))
            .await
            .unwrap();
    }
    let counts = [
        client.messages().await.len(),
        client.messages().await.len(),
        client.messages().await.len(),
    ];
    assert_eq!(counts, [2, 2, 1]);
    assert_eq!(client.poll().await.status(), 204);
}

#[tokio::test(start_paused = true)]
async fn version_1_is_spoken_too_one_frame_at_a_time_and_in_batches() {
    let app = endpoint().router();
    let client = Client::open_at(app, "/socket", "vsn=1.0.0").await;
    let join = json!({"topic": "room:1", "event": "phx_join", "payload": {}, "ref": "1"});
    assert_eq!(
        client
            .post("application/json", join.to_string())
            .await
            .status(),
        200
    );
    let joined = &client.messages().await[0];
    assert_eq!(
        (&joined["ref"], &joined["payload"]["status"]),
        (&json!("1"), &json!("ok"))
    );
    let ping = json!({"topic": "room:1", "event": "ping", "payload": 7, "ref": "2"});
    assert_eq!(client.post(NDJSON, ping.to_string()).await.status(), 200);
    assert_eq!(client.messages().await[0]["payload"]["response"], 7);
}

#[tokio::test(start_paused = true)]
async fn a_binary_payload_is_base64_in_json_and_loses_no_other_message() {
    let endpoint = endpoint();
    let client = Client::open(&endpoint).await;
    client.join("room:1").await;
    let push = b"\x00\x01\x01\x06\x0412room:1echo\xff\xfe";
    let line = data_encoding::BASE64.encode(push);
    let ping = json!(["1", "3", "room:1", "ping", {}]);
    let answer = client.post(NDJSON, format!("{line}\n{ping}")).await;
    assert_eq!(answer.status(), 200);
    let pong = reply("3", "room:1", "ok", json!({}));
    let echo = reply("2", "room:1", "ok", json!({"base64": "//4="}));
    assert_eq!(client.take(2).await, [echo, pong]);
    let bytes = channel_runtime::Payload::binary(vec![1, 2, 3]);
    endpoint
        .broadcast_raw("room:1", "bytes", bytes)
        .await
        .unwrap();
    endpoint.broadcast("room:1", &said("hi")).await.unwrap();
    let bytes = json!([null, null, "room:1", "bytes", {"base64": "AQID"}]);
    assert_eq!(client.take(2).await, [bytes, heard("room:1", "hi")]);
}

#[tokio::test(start_paused = true)]
async fn the_parameters_are_those_of_the_first_request() {
    let app = endpoint().router();
    // The official client appends its session's token to the application's.
    let query = "user=ada&token=login&vsn=2.0.0&token=null";
    let client = Client::open_at(app.clone(), "/socket", query).await;
    client.join("room:1").await;
    let uri = format!(
        "/socket/longpoll?vsn=2.0.0&user=eve&token=x&token={}",
        client.token
    );
    let whoami = json!(["1", "2", "room:1", "whoami", {}]).to_string();
    let request = Request::post(uri).body(Body::from(whoami)).unwrap();
    assert_eq!(send(&app, request).await.status(), 200);
    let expected = json!({"user": "ada", "token": "login", "transport": "longpoll", "auth": null});
    assert_eq!(
        client.messages().await,
        [reply("2", "room:1", "ok", expected)]
    );
}

#[tokio::test(start_paused = true)]
async fn sessions_are_bounded_and_room_comes_back() {
    let options = LongPollOptions::default().max_sessions(2);
    let endpoint = endpoint_with(SocketOptions::default().long_poll(options));
    let clients = [Client::open(&endpoint).await, Client::open(&endpoint).await];
    let app = endpoint.router();
    let refused = get(&app, "/socket/longpoll?vsn=2.0.0", None).await;
    assert_eq!(refused.http, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.status(), 500, "what clients try again on");
    assert_eq!(
        (
            endpoint.connection_count(),
            endpoint.long_poll_session_count()
        ),
        (2, 2)
    );
    clients[0].lives().await;
    tokio::time::sleep(crate::support::polled_room::WINDOW * 2).await;
    Client::open(&endpoint).await.lives().await;
}

#[test]
fn options_that_cannot_work_are_refused() {
    let options = LongPollOptions::default().max_batch_frames(0);
    let built = channel_runtime::Endpoint::builder()
        .socket::<User>(SocketOptions::new("/socket").long_poll(options))
        .build();
    let error = built.unwrap_err().to_string();
    assert_eq!(error, "`max_batch_frames` must be more than zero");
}
