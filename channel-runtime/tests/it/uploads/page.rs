//! The client of a page that uploads, without the page itself.

use channel_runtime::{
    Endpoint,
    test::{TestChannel, TestClient, TestReply},
};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    task::yield_now,
    time::{Duration, Instant},
};

use super::album::{User, listen, release};

pub(crate) struct Page {
    pub(crate) endpoint: Endpoint,
    pub(crate) client: TestClient,
    pub(crate) owner: TestChannel,
    log: UnboundedReceiver<String>,
    test: String,
    opened: Instant,
}

pub(crate) fn endpoint() -> Endpoint {
    Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap()
}

impl Page {
    /// Joins the album of a test.
    pub(crate) async fn open(test: &str) -> Self {
        Page::open_at(endpoint(), test).await
    }

    pub(crate) async fn open_at(endpoint: Endpoint, test: &str) -> Self {
        let log = listen(test);
        let client = TestClient::connect(&endpoint, ()).await.unwrap();
        let owner = client.join(&format!("album:{test}"), ()).await.unwrap();
        Page {
            endpoint,
            client,
            owner,
            log,
            test: test.to_owned(),
            opened: Instant::now(),
        }
    }

    /// Returns another connection.
    pub(crate) async fn another(&self) -> TestClient {
        TestClient::connect(&self.endpoint, ()).await.unwrap()
    }

    /// Connects again, as after a broken connection, and joins again.
    pub(crate) async fn reconnect(&mut self) {
        self.client = self.another().await;
        self.rejoin().await;
    }

    pub(crate) async fn rejoin(&mut self) {
        let topic = format!("album:{}", self.test);
        self.owner = self.client.join(&topic, ()).await.unwrap();
    }

    /// Returns the ref of an upload.
    pub(crate) async fn upload(&self, name: &str) -> String {
        let state = self.state(json!({"name": name})).await;
        state["ref"].as_str().unwrap().to_owned()
    }

    /// Returns the next state that contains this pattern.
    pub(crate) async fn state(&self, pattern: Value) -> Value {
        let state = self.owner.expect_event("upload_state", pattern).await;
        serde_json::from_str(state.payload.as_json().unwrap()).unwrap()
    }

    pub(crate) async fn allow(&self, upload: &str, entries: Value) -> TestReply {
        let payload = json!({"ref": upload, "entries": entries});
        self.owner.push("allow_upload", payload).await
    }

    /// Asks for one file's token.
    pub(crate) async fn token(&self, upload: &str, entry: Value) -> String {
        let entry_ref = entry["ref"].as_str().unwrap().to_owned();
        let reply: Value = self.allow(upload, json!([entry])).await.expect_ok();
        let token = reply["entries"][&entry_ref].as_str();
        token
            .unwrap_or_else(|| panic!("no token in {reply}"))
            .to_owned()
    }

    pub(crate) async fn join(&self, entry_ref: &str, token: &str) -> Result<TestChannel, String> {
        let joined = self
            .client
            .join(&format!("lvu:{entry_ref}"), json!({"token": token}))
            .await;
        joined.map_err(|reply| reply.expect_refusal())
    }

    /// Allows a file and joins its channel.
    pub(crate) async fn begin(&self, upload: &str, entry: Value) -> TestChannel {
        let entry_ref = entry["ref"].as_str().unwrap().to_owned();
        let token = self.token(upload, entry).await;
        self.join(&entry_ref, &token).await.unwrap()
    }

    /// Checks the next call of a writer or a handler.
    pub(crate) async fn heard(&mut self, expected: &str) {
        let heard = self.log.recv().await;
        assert_eq!(heard.as_deref(), Some(expected));
    }

    /// Releases a slow one.
    pub(crate) fn release(&self) {
        release(&self.test);
    }

    /// Checks that nothing has waited for a deadline since the page was opened: the clock only
    /// moves then.
    pub(crate) fn at_once(&self) {
        assert_eq!(self.opened.elapsed(), Duration::ZERO);
    }

    /// Returns the unread calls, after everything has run that needs no time.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        // Each of these lets every task run that can; nothing here takes as many turns.
        for _ in 0..100 {
            yield_now().await;
        }
        self.by_now()
    }

    /// Returns the unread calls so far.
    pub(crate) fn by_now(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.log.try_recv().ok()).collect()
    }
}

/// Returns a client's description of a file.
pub(crate) fn file(entry_ref: &str, name: &str, size: u64) -> Value {
    json!({"ref": entry_ref, "name": name, "size": size, "type": "application/octet-stream"})
}
