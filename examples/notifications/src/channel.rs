//! A user's notifications.

use std::{collections::BTreeSet, time::Duration};

use channel_runtime::prelude::*;
use serde::{Deserialize, Serialize};

use crate::socket::UserSocket;

/// The interval at which a user with unread notifications is told their number.
const DIGEST_EVERY: Duration = Duration::from_secs(10);

/// The number of products that one user may watch.
const MAX_WATCHED: usize = 50;

/// The topic on which a product's prices are broadcast. No client joins it: the users' channels
/// subscribe to it.
pub(crate) fn product_topic(product: &str) -> String {
    format!("product:{product}")
}

/// A price that is offered for a product.
#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event("price")]
pub(crate) struct Price {
    pub(crate) product: String,
    pub(crate) cents: u64,
}

/// The number of notifications that have not been read.
#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event("digest")]
pub(crate) struct Unread {
    pub(crate) unread: usize,
}

/// A reminder that the user asked for is due.
#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event("reminder")]
pub(crate) struct Reminder {
    pub(crate) text: String,
}

#[derive(Deserialize)]
struct RemindMe {
    text: String,
    in_seconds: u32,
}

#[derive(Serialize)]
struct Report {
    watched: usize,
    unread: usize,
}

/// Sent once the client has joined, when there is a socket to subscribe with.
struct AfterJoin;

/// Sent when a digest is due.
#[derive(Clone)]
struct DigestDue;

/// A call from HTTP: returns how much the user has not read.
pub(crate) struct CountUnread;

/// A message from HTTP: everything has been read elsewhere.
pub(crate) struct MarkRead;

pub(crate) struct NotificationChannel {
    watched: BTreeSet<String>,
    unread: usize,
}

#[channel("notifications:*", socket = UserSocket, pushes = [Price, Unread, Reminder])]
impl NotificationChannel {
    #[join("notifications:{user}")]
    async fn join(
        user: String,
        socket: &UserSocket,
        me: &ChannelRef<Self>,
    ) -> Result<Self, Refusal> {
        if user != socket.user {
            return Err(Refusal::new("these are not yours"));
        }
        me.send(AfterJoin);
        Ok(Self {
            watched: BTreeSet::new(),
            unread: 0,
        })
    }

    #[handle_info]
    fn after_join(&mut self, _: AfterJoin, user: &UserSocket, socket: &Socket<Self>) {
        user.directory
            .enter(&user.user, socket.channel_ref().clone());
        socket.interval(DIGEST_EVERY, DigestDue);
    }

    /// Watches a product: its prices then come to this channel, and from here to the client.
    #[handle_in("watch")]
    fn watch(&mut self, product: String, socket: &Socket<Self>) -> Reply<usize> {
        if self.watched.len() >= MAX_WATCHED && !self.watched.contains(&product) {
            return Err(Refusal::new("too many products").with("limit", MAX_WATCHED));
        }
        socket.subscribe(product_topic(&product));
        self.watched.insert(product);
        Ok(self.watched.len())
    }

    #[handle_in("unwatch")]
    fn unwatch(&mut self, product: String, socket: &Socket<Self>) -> Reply<usize> {
        socket.unsubscribe(&product_topic(&product));
        self.watched.remove(&product);
        Ok(self.watched.len())
    }

    /// Handles a broadcast on a product's topic.
    #[handle_info]
    fn priced(&mut self, broadcast: Broadcast, socket: &Socket<Self>) -> Result<(), Error> {
        self.unread += 1;
        socket.forward(&broadcast)
    }

    /// Compiles the report in a task of its own; the channel goes on meanwhile.
    #[handle_in("report")]
    fn report(&mut self, to: SocketRef) {
        let report = Report {
            watched: self.watched.len(),
            unread: self.unread,
        };
        tokio::spawn(async move {
            // A real report would ask a database here.
            tokio::time::sleep(Duration::from_millis(300)).await;
            to.ok(report);
        });
    }

    #[handle_in("remind_me")]
    fn remind_me(&mut self, wish: RemindMe, socket: &Socket<Self>) -> Reply {
        if wish.in_seconds > 3600 {
            return Err(Refusal::new("at most an hour ahead"));
        }
        let reminder = Reminder { text: wish.text };
        socket.send_after(Duration::from_secs(wish.in_seconds.into()), reminder);
        Ok(())
    }

    #[handle_info]
    fn remind(&mut self, reminder: Reminder, socket: &Socket<Self>) -> Result<(), Error> {
        socket.push(&reminder)
    }

    #[handle_info]
    fn digest(&mut self, _: DigestDue, socket: &Socket<Self>) -> Result<(), Error> {
        if self.unread == 0 {
            return Ok(());
        }
        socket.push(&Unread {
            unread: self.unread,
        })
    }

    #[handle_in("read")]
    fn read(&mut self) {
        self.unread = 0;
    }

    #[handle_call]
    fn count_unread(&mut self, _: CountUnread) -> usize {
        self.unread
    }

    #[handle_cast]
    fn mark_read(&mut self, _: MarkRead, socket: &Socket<Self>) -> Result<(), Error> {
        self.unread = 0;
        socket.push(&Unread { unread: 0 })
    }

    #[terminate]
    fn bye(self, user: &UserSocket, me: &ChannelRef<Self>) {
        user.directory.leave(&user.user, me);
    }
}

#[cfg(test)]
mod tests {
    use channel_runtime::test::{TestChannel, TestClient};
    use serde_json::{Value, json};

    use super::*;
    use crate::directory::Directory;

    async fn ada(directory: &Directory) -> (Endpoint, TestClient, TestChannel) {
        let endpoint = Endpoint::builder()
            .socket::<UserSocket>("/socket")
            .build()
            .unwrap();
        let client = TestClient::builder(&endpoint)
            .params([("user", "ada")])
            .extension(directory.clone())
            .connect()
            .await
            .unwrap();
        let channel = client.join("notifications:ada", ()).await.unwrap();
        (endpoint, client, channel)
    }

    fn price(cents: u64) -> Price {
        Price {
            product: "lamp".into(),
            cents,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_joins_the_notifications_of_another() {
        let (_endpoint, client, _) = ada(&Directory::default()).await;
        let refused = client.join("notifications:bob", ()).await.unwrap_err();
        assert_eq!(refused.expect_refusal(), "these are not yours");
    }

    #[tokio::test(start_paused = true)]
    async fn a_watched_product_notifies_until_it_is_watched_no_more() {
        let (endpoint, _client, channel) = ada(&Directory::default()).await;
        assert_eq!(channel.push("watch", "lamp").await.expect_ok::<usize>(), 1);
        endpoint
            .broadcast(product_topic("lamp"), &price(100))
            .await
            .unwrap();
        assert_eq!(channel.expect_push::<Price>().await, price(100));
        tokio::time::sleep(DIGEST_EVERY).await;
        assert_eq!(channel.expect_push::<Unread>().await, Unread { unread: 1 });
        assert_eq!(
            channel.push("unwatch", "lamp").await.expect_ok::<usize>(),
            0
        );
        endpoint
            .broadcast(product_topic("lamp"), &price(90))
            .await
            .unwrap();
        channel.refute_push::<Price>().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_comes_later_and_holds_up_nothing() {
        let (_endpoint, _client, channel) = ada(&Directory::default()).await;
        let report = channel.push("report", ());
        channel.push("watch", "lamp").await.expect_ok::<usize>();
        let report = report.await.expect_ok::<Value>();
        assert_eq!(report, json!({"watched": 0, "unread": 0}));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reminder_comes_when_it_was_asked_for() {
        let (_endpoint, _client, channel) = ada(&Directory::default()).await;
        let wish = json!({"text": "tea", "in_seconds": 3});
        channel.push("remind_me", wish).await.expect_ok::<()>();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(
            channel.expect_push::<Reminder>().await,
            Reminder { text: "tea".into() }
        );
        let wish = json!({"text": "tea", "in_seconds": 9999});
        channel.push("remind_me", wish).await.expect_refusal();
    }

    #[tokio::test(start_paused = true)]
    async fn other_code_asks_and_tells_the_channel_while_it_is_joined() {
        let directory = Directory::default();
        let (endpoint, _client, channel) = ada(&directory).await;
        channel.push("watch", "lamp").await.expect_ok::<usize>();
        let me = directory.find("ada").unwrap();
        endpoint
            .broadcast(product_topic("lamp"), &price(100))
            .await
            .unwrap();
        assert_eq!(me.call(CountUnread).await.unwrap(), 1);
        me.cast(MarkRead).unwrap();
        assert_eq!(channel.expect_push::<Unread>().await, Unread { unread: 0 });
        channel.leave().await;
        assert!(directory.find("ada").is_none());
        assert!(matches!(
            me.call(CountUnread).await,
            Err(Error::ChannelEnded)
        ));
    }
}
