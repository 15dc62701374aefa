use std::{error::Error as _, net::TcpListener, time::Duration};

use channel_runtime::{
    Endpoint,
    pubsub::{ClusterOptions, Nats, Redis, StartError, Status},
};
use cluster_tests::{
    client::Client,
    engine::{Engine, Kind},
    eventually,
    node::{Node, endpoint, impatient, up},
    port::Port,
    room::Said,
    within,
};

fn with_password(kind: Kind) -> Engine {
    match kind {
        Kind::Redis => Engine::start(kind, "requirepass se/cr:et"),
        Kind::Nats => Engine::start(
            kind,
            "authorization: { user: \"app\", password: \"se/cr:et\" }",
        ),
    }
}

fn url(engine: &Engine, credentials: &str) -> String {
    engine.url().replace("://", &format!("://{credentials}@"))
}

async fn refused(url: &str) -> StartError {
    let refused = endpoint(url, impatient().node("a")).await.err();
    refused.unwrap_or_else(|| panic!("{url} is not refused"))
}

pub(crate) async fn wrong_credentials_are_one_clear_error(kind: Kind) {
    let engine = with_password(kind);
    for url in [engine.url(), url(&engine, "app:wrong")] {
        let error = refused(&url).await;
        let text = error.to_string();
        println!("{text}");
        let says = format!(
            "cannot connect to {} at 127.0.0.1:{}: ",
            name(kind),
            engine.port()
        );
        assert!(text.starts_with(&says), "{text}");
        assert!(
            text.contains("the user or password in the URL is refused"),
            "{text}"
        );
        assert!(
            !text.contains("wrong@") && text.lines().count() == 1,
            "{text}"
        );
        assert!(error.source().is_some());
    }
}

/// Starts a server whose user `app` may use this namespace only.
fn with_permissions(kind: Kind, namespace: &str) -> Engine {
    match kind {
        Kind::Redis => Engine::start(
            kind,
            &format!("user app on >secret resetchannels &{namespace}:* +@connection +@pubsub"),
        ),
        Kind::Nats => Engine::start(
            kind,
            &format!(
                "authorization: {{ users: [ {{ user: app, password: secret, permissions: {{ \
                 publish: \"{namespace}.>\", subscribe: \"{namespace}.>\" }} }} ] }}"
            ),
        ),
    }
}

pub(crate) async fn a_user_needs_nothing_but_its_namespace(kind: Kind) {
    let engine = with_permissions(kind, "shop");
    let url = url(&engine, "app:secret");
    let node = |name: &str| endpoint(&url, impatient().node(name).namespace("shop"));
    let (a, b) = (node("a").await.unwrap(), node("b").await.unwrap());
    let mut heard = b.subscribe("room:1");
    heard.confirmed().await;
    a.broadcast("room:1", &Said::new(1)).await.unwrap();
    assert_eq!(within("it", heard.recv()).await.event(), "said");
    a.direct_broadcast("b", "room:1", &Said::new(2))
        .await
        .unwrap();
    within("it", heard.recv()).await;
}

pub(crate) async fn a_user_without_the_namespace_is_one_clear_error(kind: Kind) {
    let engine = with_permissions(kind, "blog");
    let url = url(&engine, "app:secret");
    let error = endpoint(&url, impatient().node("a").namespace("shop")).await;
    let text = error.err().unwrap().to_string();
    println!("{text}");
    assert!(text.to_lowercase().contains("permission"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

pub(crate) async fn tls_that_the_engine_does_not_speak_is_named(kind: Kind) {
    let engine = Engine::start(kind, "");
    let scheme = match kind {
        Kind::Redis => "rediss",
        Kind::Nats => "tls",
    };
    let text = refused(&format!("{scheme}://127.0.0.1:{}", engine.port())).await;
    let says = format!("at 127.0.0.1:{} with TLS: ", engine.port());
    assert!(text.to_string().contains(&says), "{text}");
}

pub(crate) async fn another_kind_of_server_is_one_line(kind: Kind) {
    let other = match kind {
        Kind::Redis => Kind::Nats,
        Kind::Nats => Kind::Redis,
    };
    let engine = Engine::start(other, "");
    let scheme = name(kind).to_lowercase();
    let text = refused(&format!("{scheme}://127.0.0.1:{}", engine.port())).await;
    let text = text.to_string();
    println!("{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Redis => "Redis",
        Kind::Nats => "NATS",
    }
}

pub(crate) async fn right_credentials_are_taken_from_the_url(kind: Kind) {
    let engine = with_password(kind);
    let user = match kind {
        Kind::Redis => "default",
        Kind::Nats => "app",
    };
    let url = url(&engine, &format!("{user}:se%2Fcr%3Aet"));
    let a = endpoint(&url, impatient().node("a")).await.unwrap();
    up(&a).await;
}

pub(crate) async fn a_wrong_url_and_an_engine_that_is_not_there_are_clear_errors(kind: Kind) {
    let scheme = name(kind).to_lowercase();
    let options = ClusterOptions::new();
    for url in [
        "",
        "not a url",
        "http://127.0.0.1",
        "redis://",
        "nats://a b",
    ] {
        let error = match kind {
            Kind::Redis => Redis::connect_with(url, options.clone()).await.err(),
            Kind::Nats => Nats::connect_with(url, options.clone()).await.err(),
        };
        let error = error.unwrap_or_else(|| panic!("{url:?} is taken"));
        println!("{scheme} {url:?}: {error}");
        let says = format!("not a {} URL: ", name(kind));
        assert!(error.to_string().starts_with(&says), "{error}");
    }
    let nobody = Port::hold();
    let error = refused(&format!("{scheme}://{}", nobody.address())).await;
    println!("{error}");
    assert!(
        error.to_string().starts_with("cannot connect to "),
        "{error}"
    );
    // A server that accepts the connection and sends nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = refused(&format!("{scheme}://127.0.0.1:{port}")).await;
    println!("{error}");
    assert!(
        error.to_string().starts_with("cannot connect to "),
        "{error}"
    );
}

pub(crate) async fn a_lazy_node_serves_its_own_clients_until_the_engine_is_there(kind: Kind) {
    let mut engine = Engine::start(kind, "");
    engine.kill();
    let node = async |name: &str| {
        let builder = Endpoint::builder().socket::<cluster_tests::room::User>("/socket");
        let (url, options) = (engine.url(), impatient().node(name));
        let builder = match kind {
            Kind::Redis => builder.pubsub(Redis::lazy(&url, options).unwrap()),
            Kind::Nats => builder.pubsub(Nats::lazy(&url, options).unwrap()),
        };
        Node::serve(builder.build().unwrap()).await
    };
    let (a, b) = (node("a").await, node("b").await);
    let here = Client::joined(a.address, "here", "room:1").await;
    let there = Client::joined(b.address, "there", "room:1").await;
    assert!(a.endpoint.broadcast("room:1", &Said::new(1)).await.is_err());
    here.saw(1).await;
    eventually("an error is shown", || match a.endpoint.health().status {
        Status::Down { since, error } => since > Duration::ZERO && !error.contains("not connected"),
        _ => false,
    })
    .await;
    engine.restart();
    a.up().await;
    b.up().await;
    a.endpoint.broadcast("room:1", &Said::new(2)).await.unwrap();
    there.saw(2).await;
    here.saw(2).await;
    assert_eq!(here.numbers(), [1, 2]);
    assert_eq!(there.numbers(), [2]);
}
