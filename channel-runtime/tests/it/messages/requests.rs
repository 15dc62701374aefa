//! Requests to a client, and their ends.

use std::{sync::Mutex, time::Duration};

use channel_runtime::{
    prelude::*,
    protocol::Frame,
    test::{TestChannel, TestClient, TestRequest},
};
use futures_util::future::join_all;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use tokio::sync::oneshot;

const LIMIT: Duration = Duration::from_secs(5);

/// The joined channels, for the tests to find by topic.
static FOUND: Mutex<Vec<ChannelRef<Device>>> = Mutex::new(Vec::new());

struct User;

#[socket(channels = [Device])]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

#[derive(Serialize, Deserialize, Event, Debug, PartialEq)]
#[event("reboot")]
struct Reboot {
    delay: u32,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Rebooted {
    at: u32,
}

/// An answer whose decoder panics.
#[derive(Debug)]
struct Bomb;

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("on purpose")
    }
}

struct Panic;
struct Fail;
struct Ask(oneshot::Sender<bool>);

struct Device {
    early: Option<RequestError>,
}

#[channel("device:*", pushes = [Reboot])]
impl Device {
    #[join]
    async fn join(me: &ChannelRef<Self>) -> Self {
        FOUND.lock().unwrap().push(me.clone());
        let early = me.request::<_, Rebooted>(&Reboot { delay: 0 }, LIMIT).await;
        Device { early: early.err() }
    }

    #[handle_in("early")]
    fn early(&mut self) -> Reply<String> {
        Ok(format!("{:?}", self.early))
    }

    #[handle_in("update")]
    async fn update(&mut self, delay: u32, socket: &Socket<Self>) -> Reply<u32> {
        let answer: Rebooted = socket.request(&Reboot { delay }, LIMIT).await?;
        Ok(answer.at)
    }

    #[handle_in("ping")]
    fn ping(&mut self) -> Reply {
        Ok(())
    }

    #[handle_in]
    fn other(&mut self, event: &str) -> Reply<String> {
        Ok(event.to_owned())
    }

    #[handle_info]
    fn panic(&mut self, _: Panic) {
        panic!("on purpose")
    }

    #[handle_info]
    fn fail(&mut self, _: Fail) -> Stop {
        Stop::error("on purpose")
    }

    #[handle_call]
    async fn ask(&mut self, ask: Ask, mut caller: Caller<()>) {
        let before = caller.is_closed();
        caller.closed().await;
        let _listening = ask.0.send(!before && caller.is_closed());
    }
}

async fn join(topic: &str) -> (TestClient, TestChannel, ChannelRef<Device>) {
    let endpoint = Endpoint::builder()
        .socket::<User>("/socket")
        .build()
        .unwrap();
    let client = TestClient::connect(&endpoint, ()).await.unwrap();
    let channel = client.join(topic, ()).await.unwrap();
    let found = FOUND.lock().unwrap();
    let me = found.iter().find(|me| me.topic().as_str() == topic);
    let me = me.unwrap().clone();
    (client, channel, me)
}

/// Lets a separate task ask the channel's client.
fn ask(me: &ChannelRef<Device>) -> tokio::task::JoinHandle<Result<Rebooted, RequestError>> {
    let me = me.clone();
    tokio::spawn(async move { me.request(&Reboot { delay: 1 }, LIMIT).await })
}

#[tokio::test(start_paused = true)]
async fn a_handler_gets_the_answer_of_its_own_client() {
    let (_client, device, _) = join("device:own").await;
    let updated = device.push("update", 3);
    let asked = device.expect_request::<Reboot>().await;
    assert_eq!(asked.command, Reboot { delay: 3 });
    asked
        .reply(&device, json!({"at": 7}))
        .await
        .expect_ok::<()>();
    assert_eq!(updated.await.expect_ok::<u32>(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_address_asks_as_well_while_the_channel_goes_on() {
    let (_client, device, me) = join("device:address").await;
    let answer = ask(&me);
    let asked = device.expect_request::<Reboot>().await;
    device.push("ping", ()).await.expect_ok::<()>();
    asked
        .reply(&device, json!({"at": 1}))
        .await
        .expect_ok::<()>();
    assert_eq!(answer.await.unwrap().unwrap(), Rebooted { at: 1 });
}

#[tokio::test(start_paused = true)]
async fn answers_find_their_requests_in_any_order() {
    let (_client, device, me) = join("device:order").await;
    let answers = [ask(&me), ask(&me), ask(&me)];
    let mut asked = Vec::new();
    for _ in &answers {
        asked.push(device.expect_request::<Reboot>().await);
    }
    for (at, asked) in asked.iter().enumerate().rev() {
        asked
            .reply(&device, json!({"at": at}))
            .await
            .expect_ok::<()>();
    }
    let mut at: Vec<_> = join_all(answers).await;
    let mut at: Vec<u32> = at.drain(..).map(|a| a.unwrap().unwrap().at).collect();
    at.sort_unstable();
    assert_eq!(at, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_a_request_times_out_and_a_late_answer_is_refused() {
    let (_client, device, me) = join("device:late").await;
    let answer = ask(&me);
    let asked = device.expect_request::<Reboot>().await;
    assert!(matches!(answer.await.unwrap(), Err(RequestError::Timeout)));
    let late = asked.reply(&device, json!({"at": 1})).await;
    assert_eq!(late.expect_refusal(), "no request waits");
    let refused = device.push("update", 1);
    let asked = device.expect_request::<Reboot>().await;
    assert_eq!(refused.await.expect_refusal(), "no answer");
    drop(asked);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_fit_is_refused_and_ends_the_request() {
    let (_client, device, me) = join("device:unfit").await;
    let answer = ask(&me);
    let asked = device.expect_request::<Reboot>().await;
    let told = asked.reply(&device, json!({"at": "noon"})).await;
    assert_eq!(told.expect_refusal(), "invalid payload");
    assert_eq!(told.response::<Value>()["field"], "at");
    let error = answer.await.unwrap().unwrap_err();
    assert!(matches!(&error, RequestError::Payload(e) if e.field() == Some("at")));
    let again = asked.reply(&device, json!({"at": 1})).await;
    assert_eq!(again.expect_refusal(), "no request waits");
}

#[tokio::test(start_paused = true)]
async fn a_decoder_that_panics_ends_the_request_and_nothing_else() {
    let (_client, device, me) = join("device:bomb").await;
    let asking = me.clone();
    let bomb: tokio::task::JoinHandle<Result<Bomb, _>> =
        tokio::spawn(async move { asking.request(&Reboot { delay: 1 }, LIMIT).await });
    let asked = device.expect_request::<Reboot>().await;
    let told = asked.reply(&device, json!({})).await;
    assert_eq!(told.expect_refusal(), "invalid payload");
    assert!(matches!(bomb.await.unwrap(), Err(RequestError::Payload(_))));
    device.push("ping", ()).await.expect_ok::<()>();
}

#[tokio::test(start_paused = true)]
async fn a_leave_ends_a_request_at_once_though_a_handler_waits_for_it() {
    let (client, device, me) = join("device:leave").await;
    let answer = ask(&me);
    device.expect_request::<Reboot>().await;
    device.cast("update", 1);
    device.expect_request::<Reboot>().await;
    device.leave().await;
    assert!(matches!(answer.await.unwrap(), Err(RequestError::Left)));
    let later = me.request::<_, Rebooted>(&Reboot { delay: 1 }, LIMIT).await;
    assert!(matches!(later, Err(RequestError::Left)));
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_new_join_ends_the_requests_of_the_one_before() {
    let (client, device, me) = join("device:again").await;
    let answer = ask(&me);
    let old: TestRequest<Reboot> = device.expect_request().await;
    let again = client.join("device:again", ()).await.unwrap();
    assert!(matches!(answer.await.unwrap(), Err(RequestError::Left)));
    // No request of the new channel has this ref: it is an event like any other.
    let event = old
        .reply(&again, json!({"at": 1}))
        .await
        .expect_ok::<String>();
    assert_eq!(event, format!("reply:{}", old.reference));
}

#[tokio::test(start_paused = true)]
async fn a_crash_and_a_stop_end_the_requests() {
    let (_client, device, me) = join("device:crash").await;
    let answer = ask(&me);
    device.expect_request::<Reboot>().await;
    me.send(Panic);
    assert!(matches!(
        answer.await.unwrap(),
        Err(RequestError::ChannelEnded)
    ));
    let (_client, device, me) = join("device:stop").await;
    let answer = ask(&me);
    device.expect_request::<Reboot>().await;
    me.send(Fail);
    assert!(matches!(
        answer.await.unwrap(),
        Err(RequestError::ChannelEnded)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_goes_ends_the_requests() {
    let (client, device, me) = join("device:gone").await;
    let answer = ask(&me);
    device.expect_request::<Reboot>().await;
    drop((client, device));
    assert!(matches!(answer.await.unwrap(), Err(RequestError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_join_cannot_ask() {
    let (_client, device, _) = join("device:join").await;
    let early = device.push("early", ()).await.expect_ok::<String>();
    assert_eq!(early, "Some(NotJoined)");
}

#[tokio::test(start_paused = true)]
async fn a_request_too_many_waits_for_a_place_and_is_never_sent_without_one() {
    let (_client, device, me) = join("device:many").await;
    let answers: Vec<_> = (0..64).map(|_| ask(&me)).collect();
    let mut asked = Vec::new();
    for _ in &answers {
        asked.push(device.expect_request::<Reboot>().await);
    }
    let short = Duration::from_secs(1);
    let busy = me.request::<_, Rebooted>(&Reboot { delay: 9 }, short).await;
    assert!(matches!(busy, Err(RequestError::Busy)));
    // A place that is given back goes to the next request.
    let next = ask(&me);
    tokio::task::yield_now().await;
    asked[0]
        .reply(&device, json!({"at": 0}))
        .await
        .expect_ok::<()>();
    let asked = device.expect_request::<Reboot>().await;
    assert_eq!(asked.reference, "req65");
    asked
        .reply(&device, json!({"at": 65}))
        .await
        .expect_ok::<()>();
    assert_eq!(next.await.unwrap().unwrap(), Rebooted { at: 65 });
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_gives_its_place_back() {
    let (_client, device, me) = join("device:given-up").await;
    for _ in 0..200 {
        let answer = ask(&me);
        let asked = device.expect_request::<Reboot>().await;
        answer.abort();
        assert!(answer.await.unwrap_err().is_cancelled());
        let told = asked.reply(&device, json!({"at": 1})).await;
        assert_eq!(told.expect_refusal(), "no request waits");
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_looks_like_an_answer_is_an_event_like_any_other() {
    let (_client, device, me) = join("device:looks").await;
    let answer = ask(&me);
    let asked = device.expect_request::<Reboot>().await;
    assert_eq!(asked.reference, "req1");
    for event in ["reply:req2", "reply:1", "reply:", "reply:req-1"] {
        let reply = device.push(event, ()).await;
        assert_eq!(reply.expect_ok::<String>(), event);
    }
    asked
        .reply(&device, json!({"at": 1}))
        .await
        .expect_ok::<()>();
    answer.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_ref_of_a_request_is_the_ref_of_its_push() {
    let (client, _device, me) = join("device:wire").await;
    let answer = ask(&me);
    let push = client.next().await;
    assert_eq!(
        (push.event.as_str(), push.reference.as_str()),
        ("reboot", "req1")
    );
    // The frame of the official client.
    let frame = format!(
        r#"["{}","9","device:wire","reply:req1",{{"at":5}}]"#,
        push.join_ref
    );
    client.send_raw(Frame::Text(frame.into()));
    assert_eq!(answer.await.unwrap().unwrap(), Rebooted { at: 5 });
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_no_longer_is_seen() {
    let (_client, _device, me) = join("device:caller").await;
    let (sender, seen) = oneshot::channel();
    let call = tokio::time::timeout(Duration::from_secs(1), me.call(Ask(sender)));
    assert!(call.await.is_err());
    assert!(seen.await.unwrap());
}
