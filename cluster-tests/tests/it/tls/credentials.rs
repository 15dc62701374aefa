//! NATS' own credentials: NKeys, and files with a JWT.

use channel_runtime::pubsub::ClusterOptions;
use cluster_tests::{
    engine::{Engine, Kind},
    node::endpoint,
    room::Said,
    within,
};
use data_encoding::BASE64URL_NOPAD as BASE64;
use nkeys::KeyPair;
use serde_json::{Value, json};

async fn talk(url: &str, options: &ClusterOptions) {
    let node = |name: &str| endpoint(url, options.clone().node(name));
    let (a, b) = (node("a").await.unwrap(), node("b").await.unwrap());
    let mut heard = b.subscribe("room:1");
    heard.confirmed().await;
    a.broadcast("room:1", &Said::new(1)).await.unwrap();
    assert_eq!(within("it", heard.recv()).await.event(), "said");
}

async fn refused(url: &str, options: ClusterOptions) -> String {
    let text = endpoint(url, options).await.err().unwrap().to_string();
    println!("{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[tokio::test]
async fn a_node_may_have_an_nkey() {
    let (user, other) = (KeyPair::new_user(), KeyPair::new_user());
    let key = user.public_key();
    let engine = Engine::start(
        Kind::Nats,
        &format!("authorization: {{ users: [ {{ nkey: {key} }} ] }}"),
    );
    let (url, seed) = (engine.url(), user.seed().unwrap());
    let options = ClusterOptions::new;
    talk(&url, &options().nkey(&seed)).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("user.nk");
    std::fs::write(&file, format!("{seed}\n")).unwrap();
    talk(&url, &options().nkey_file(&file)).await;

    let other = refused(&url, options().nkey(other.seed().unwrap())).await;
    assert!(other.contains("the user of the NKey is refused"), "{other}");
    let account = KeyPair::new_account().seed().unwrap();
    let wrong = [
        (
            options().nkey("SUNONSENSE"),
            "the given NKey holds no NKey seed",
        ),
        (options().nkey(account), "that is no user's"),
        (
            options().nkey_file("/nowhere.nk"),
            "cannot read /nowhere.nk: ",
        ),
        (options().nkey_file(directory.path()), "cannot read "),
    ];
    for (options, says) in wrong {
        let text = refused(&url, options).await;
        assert!(text.contains(says) && !text.contains("NONSENSE"), "{text}");
    }
    let both = url.replace("://", "://app:secret@");
    let both = refused(&both, options().nkey(&seed)).await;
    assert!(
        both.contains("one of them is enough") && !both.contains("secret"),
        "{both}"
    );
    let redis = refused("redis://127.0.0.1:1", options().nkey(seed)).await;
    assert!(redis.contains("are NATS'"), "{redis}");
}

/// Returns a JWT in which one key describes another.
fn jwt(issuer: &KeyPair, subject: &KeyPair, nats: Value) -> String {
    let encode = |json: Value| BASE64.encode(json.to_string().as_bytes());
    let said = format!(
        "{}.{}",
        encode(json!({"typ": "JWT", "alg": "ed25519-nkey"})),
        encode(json!({
            "jti": "1",
            "iat": 1_700_000_000,
            "iss": issuer.public_key(),
            "name": "test",
            "sub": subject.public_key(),
            "nats": nats,
        }))
    );
    let signature = issuer.sign(said.as_bytes()).unwrap();
    format!("{said}.{}", BASE64.encode(&signature))
}

#[tokio::test]
async fn a_node_may_have_a_credentials_file() {
    let (operator, account) = (KeyPair::new_operator(), KeyPair::new_account());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1,
    });
    let operators = jwt(
        &operator,
        &operator,
        json!({"type": "operator", "version": 2}),
    );
    let accounts = jwt(
        &operator,
        &account,
        json!({"type": "account", "version": 2, "limits": limits}),
    );
    let engine = Engine::start(
        Kind::Nats,
        &format!(
            "operator: {operators}\nresolver: MEMORY\nresolver_preload: {{ {}: {accounts} }}",
            account.public_key()
        ),
    );
    let directory = tempfile::tempdir().unwrap();
    let credentials = |name: &str, account: &KeyPair| {
        let user = KeyPair::new_user();
        let nats = json!({
            "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1,
            "payload": -1,
        });
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            jwt(account, &user, nats),
            user.seed().unwrap()
        );
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let options = ClusterOptions::new;
    let good = credentials("good.creds", &account);
    talk(&engine.url(), &options().credentials_file(good)).await;
    let other = credentials("other.creds", &KeyPair::new_account());
    let other = refused(&engine.url(), options().credentials_file(other)).await;
    assert!(
        other.contains("the user of the credentials file is refused"),
        "{other}"
    );
    let nonsense = directory.path().join("nonsense.creds");
    std::fs::write(&nonsense, "nonsense").unwrap();
    let nonsense = refused(&engine.url(), options().credentials_file(nonsense)).await;
    assert!(
        nonsense.contains("nonsense.creds is no credentials file"),
        "{nonsense}"
    );
    let missing = refused(&engine.url(), options().credentials_file("/nowhere.creds")).await;
    assert!(
        missing.contains("cannot read /nowhere.creds: "),
        "{missing}"
    );
}
