//! Topics that are written by what reads them, and what is sent to them.

use std::{fmt, str::FromStr};

use channel_runtime::{TopicError, prelude::*, test::TestClient};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Event)]
#[event("moved")]
struct Moved {
    card: u64,
}

struct Count;
struct User;

#[socket(channels = [Board, Talk, Lobby])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

struct Board {
    board: u64,
}

#[channel("board:*", pushes = [Moved])]
impl Board {
    #[join("board:{board}")]
    fn join(board: u64) -> Self {
        Board { board }
    }

    #[handle_call]
    fn count(&mut self, _: Count) -> u64 {
        self.board
    }

    #[terminate]
    async fn terminate(self, reason: Reason, endpoint: &Endpoint) {
        let Reason::Shutdown(Some(why)) = reason else {
            return;
        };
        let moved = Moved {
            card: why.len() as u64,
        };
        let _told = endpoint.broadcast("ends", &moved).await;
    }
}

#[derive(Clone)]
struct Name(String);

impl FromStr for Name {
    type Err = fmt::Error;

    fn from_str(text: &str) -> Result<Self, fmt::Error> {
        Ok(Name(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct Talk;

#[channel("talk:*", "fixed")]
impl Talk {
    #[join("fixed")]
    fn fixed() -> Self {
        Talk
    }

    #[join("talk:group:{group}")]
    fn group(group: u64) -> Self {
        let _ = group;
        Talk
    }

    #[join("talk:old:{group}")]
    fn old(group: u64) -> Self {
        let _ = group;
        Talk
    }

    #[join("talk:{from}:to:{to}")]
    fn pair(to: Name, from: String) -> Self {
        let _ = (from, to);
        Talk
    }

    #[join("{kind}:{name}!")]
    fn other(kind: String, name: u8) -> Self {
        let _ = (kind, name);
        Talk
    }
}

struct Lobby;

#[channel("lobby")]
impl Lobby {
    #[join]
    fn join() -> Self {
        Lobby
    }
}

fn text<C>(topic: Result<channel_runtime::ChannelTopic<C>, TopicError>) -> String {
    topic.unwrap().to_string()
}

#[test]
fn a_topic_is_written_by_the_join_that_reads_it() {
    assert_eq!(text(Board::topic(7)), "board:7");
    assert_eq!(text(Board::topic(&7)), "board:7");
    assert_eq!(text(Talk::topic(())), "fixed");
    assert_eq!(text(Lobby::topic(())), "lobby");
    let to = Name("bob".to_owned());
    assert_eq!(text(Talk::topic(("eve", &to))), "talk:eve:to:bob");
    assert_eq!(text(Talk::topic(("eve".to_owned(), to))), "talk:eve:to:bob");
    assert_eq!(text(Talk::topic(("talk", 7_u8))), "talk:7!");
}

#[test]
fn joins_with_the_same_captures_are_told_apart_by_their_place() {
    assert_eq!(text(Talk::topic::<_, 1>(7)), "talk:group:7");
    assert_eq!(text(Talk::topic::<_, 2>(7)), "talk:old:7");
}

#[test]
fn a_topic_that_would_be_read_otherwise_is_refused() {
    let to = Name("bob".to_owned());
    assert!(Talk::topic(("eve:to:mallory", &to)).is_err());
    // The last capture takes all that is left.
    assert_eq!(
        text(Talk::topic(("eve", Name("a:to:b".to_owned())))),
        "talk:eve:to:a:to:b"
    );
    // No pattern of the channel takes it.
    let error = Talk::topic(("chat", 7_u8)).unwrap_err();
    assert!(error.to_string().contains("chat:7!"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_to_a_channels_topic_reaches_its_members() {
    let (endpoint, client) = connected().await;
    let (seven, eight) = (client.join("board:7", ()), client.join("board:8", ()));
    let (seven, eight) = (seven.await.unwrap(), eight.await.unwrap());
    let to = endpoint.to(Board::topic(7));
    to.broadcast(&Moved { card: 1 }).await.unwrap();
    assert_eq!(seven.expect_broadcast::<Moved>().await.card, 1);
    eight.refute_broadcast::<Moved>().await;
    let to = endpoint.to::<Board>(eight_topic());
    to.local_broadcast(&Moved { card: 2 }).unwrap();
    assert_eq!(eight.expect_broadcast::<Moved>().await.card, 2);
    let from = endpoint.channels(Board::topic(7))[0].id();
    let to = endpoint.to(Board::topic(7));
    to.broadcast_from(from, &Moved { card: 3 }).await.unwrap();
    seven.refute_broadcast::<Moved>().await;
}

fn eight_topic() -> &'static str {
    "board:8"
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_to_a_topic_that_cannot_be_written_is_an_error() {
    let (endpoint, _client) = connected().await;
    let topic = Talk::topic(("eve:to:mallory", Name("bob".to_owned())));
    assert!(endpoint.channels(topic.clone()).is_empty());
    fn is_topic<T>(result: Result<T, Error>) -> bool {
        matches!(result, Err(Error::Topic(_)))
    }
    assert!(is_topic(topic.map_err(Error::from)));
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_topic_are_found_and_stopped() {
    let (endpoint, client) = connected().await;
    let other = TestClient::connect(&endpoint, ()).await.unwrap();
    let mut ends = endpoint.subscribe("ends");
    let seven = client.join("board:7", ()).await.unwrap();
    let eight = other.join("board:8", ()).await.unwrap();
    let _also = other.join("board:7", ()).await.unwrap();
    assert_eq!(endpoint.channels(Board::topic(7)).len(), 2);
    assert_eq!(endpoint.channels(Board::topic(9)).len(), 0);
    // Another channel has no members there.
    assert_eq!(endpoint.channels::<Lobby>("board:7").len(), 0);
    let members = endpoint.channels(Board::topic(8));
    assert_eq!(members[0].call(Count).await.unwrap(), 8);
    members[0].stop(Stop::shutdown_because("revoked"));
    eight.expect_close().await;
    assert_eq!(
        ends.recv().await.payload().decode::<Moved>().unwrap().card,
        7
    );
    assert!(matches!(
        members[0].call(Count).await,
        Err(Error::ChannelEnded)
    ));
    members[0].stop(Stop::normal());
    for member in endpoint.channels(Board::topic(7)) {
        member.stop(Stop::error("failed"));
    }
    seven.expect_error().await;
}

async fn connected() -> (Endpoint, TestClient) {
    let endpoint = Endpoint::builder().socket::<User>("/socket");
    let endpoint = endpoint.build().unwrap();
    let client = TestClient::connect(&endpoint, ()).await.unwrap();
    (endpoint, client)
}
