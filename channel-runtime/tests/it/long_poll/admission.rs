//! The admission of clients that poll: origins, auth tokens, places, and the socket's view of them.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use channel_runtime::{CheckOrigin, Endpoint, LongPollOptions, SocketOptions};
use serde_json::json;

use crate::support::{
    poll_client::{Answer, Client, get, reply, send},
    polled_room::{User, endpoint_with},
};

const EXAMPLE: &str = "https://example.com";

async fn from_origin(client: &Client, method: Method, origin: &str) -> Answer {
    let uri = format!("/socket/longpoll?vsn=2.0.0&token={}", client.token);
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("origin", origin);
    let body = json!([null, "hb", "phoenix", "heartbeat", {}]).to_string();
    send(&client.app, request.body(Body::from(body)).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn a_page_of_another_origin_is_told_403_whatever_it_asks() {
    // The socket's own check is for WebSockets here.
    let only_example = LongPollOptions::default().check_origin(CheckOrigin::list([EXAMPLE]));
    let options = SocketOptions::default().check_origin(CheckOrigin::off());
    let endpoint = endpoint_with(options.long_poll(only_example));
    let client = Client::open(&endpoint).await;
    for method in [Method::GET, Method::POST, Method::OPTIONS] {
        let answer = from_origin(&client, method, "https://evil.com").await;
        assert_eq!(
            (answer.http, answer.json),
            (StatusCode::OK, json!({"status": 403}))
        );
        assert!(!answer.headers.contains_key("access-control-allow-headers"));
    }
    assert_eq!(
        from_origin(&client, Method::POST, EXAMPLE).await.status(),
        200
    );
    assert_eq!(
        from_origin(&client, Method::GET, EXAMPLE).await.status(),
        200
    );
    assert_eq!(endpoint.long_poll_session_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_check_of_its_own_it_is_the_sockets() {
    let options = SocketOptions::default().check_origin(CheckOrigin::list([EXAMPLE]));
    let endpoint = endpoint_with(options.long_poll(LongPollOptions::default()));
    let client = Client::open(&endpoint).await;
    assert_eq!(
        from_origin(&client, Method::GET, "https://evil.com")
            .await
            .status(),
        403
    );
    assert_eq!(
        from_origin(&client, Method::POST, EXAMPLE).await.status(),
        200
    );
}

#[test]
fn an_origin_that_cannot_be_read_is_refused_when_the_endpoint_is_built() {
    let options = LongPollOptions::default().check_origin(CheckOrigin::list(["not an origin"]));
    let built = Endpoint::builder()
        .socket::<User>(SocketOptions::new("/socket").long_poll(options))
        .build();
    assert!(built.unwrap_err().to_string().contains("not an origin"));
}

#[tokio::test(start_paused = true)]
async fn the_auth_token_comes_with_the_first_request() {
    let options = SocketOptions::default().auth_token(true);
    let endpoint = endpoint_with(options.long_poll(LongPollOptions::default()));
    let app = endpoint.router();
    let open = Request::get("/socket/longpoll?vsn=2.0.0").header("x-phoenix-authtoken", "tok-9");
    let answer = send(&app, open.body(Body::empty()).unwrap()).await;
    let client = Client {
        app: app.clone(),
        path: "/socket",
        token: answer.token().to_owned(),
    };
    client.join("room:1").await;
    let whoami = json!(["1", "2", "room:1", "whoami", {}]);
    assert_eq!(client.publish(&[whoami]).await, 200);
    let who = json!({"user": null, "token": null, "transport": "longpoll", "auth": "tok-9"});
    assert_eq!(client.messages().await, [reply("2", "room:1", "ok", who)]);

    let bad = Request::get("/socket/longpoll?vsn=2.0.0")
        .header("x-phoenix-authtoken", "one")
        .header("x-phoenix-authtoken", "two");
    let answer = send(&app, bad.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.http.as_u16(), answer.status()), (400, 400));
}

#[tokio::test(start_paused = true)]
async fn sessions_take_places_of_the_endpoint() {
    let endpoint = Endpoint::builder()
        .max_connections(1)
        .socket::<User>(SocketOptions::new("/socket").long_poll(LongPollOptions::default()))
        .build()
        .unwrap();
    let client = Client::open(&endpoint).await;
    let refused = get(&client.app, "/socket/longpoll?vsn=2.0.0", None).await;
    assert_eq!((refused.http.as_u16(), refused.status()), (503, 500));
    client.lives().await;
}

#[tokio::test(start_paused = true)]
async fn a_path_may_have_variables_and_a_socket_no_websocket() {
    let options = SocketOptions::default().websocket(false);
    let endpoint = Endpoint::builder()
        .socket::<User>(
            options
                .long_poll(LongPollOptions::default())
                .path("/at/{user}"),
        )
        .build()
        .unwrap();
    let client = Client::open_at(endpoint.router(), "/at/ada", "vsn=2.0.0&token=null").await;
    client.join("room:1").await;
    let whoami = json!(["1", "2", "room:1", "whoami", {}]);
    assert_eq!(client.publish(&[whoami]).await, 200);
    let who = json!({"user": "ada", "token": null, "transport": "longpoll", "auth": null});
    assert_eq!(client.messages().await, [reply("2", "room:1", "ok", who)]);
    let websocket = get(&client.app, "/at/ada/websocket?vsn=2.0.0", None).await;
    assert_eq!(websocket.http, StatusCode::NOT_FOUND);
}
