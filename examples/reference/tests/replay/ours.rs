//! The answers of the reference room that differ from the recordings, each with its reason, by
//! name.

use crate::{
    Outcome,
    recording::{Expected, HandlerFuture, Scenario},
    script::{got, receive, says, send_from},
};

/// The difference of a scenario from its recording.
enum Change {
    /// Its connection is closed with another code.
    Code(u16),
    /// Its clients are refused with this status, and nothing else.
    Refused(u16),
    /// Its HTTP requests get this status and body.
    Http(u16, &'static str),
    /// Its HTTP requests get the recorded status with another text.
    OtherWords,
    /// From this step on, counted from 1, it goes on like this.
    From(usize, Vec<HandlerFuture>),
}

use Change::{Code, From, Http, OtherWords, Refused};

const CODES: &str = "a frame that cannot be read closes with a code that says what is wrong, and \
                     a reason, instead of 1011 without one";
const PIPELINED: &str = "a message that comes too late for its channel is answered, behind the \
                         channel's end; the original loses or answers it by timing";
const LIVES: &str = "what a client sends cannot end a channel by accident: it gets an error reply \
                     and the channel lives; the original crashes it";

/// Returns every scenario that differs: its name, the reason, and the change.
fn table() -> Vec<(&'static str, &'static str, Change)> {
    let mut table = malformed();
    table.extend(pipelined());
    table.extend(lenient());
    table.extend(tasks());
    table
}

/// Frames that cannot be read.
fn malformed() -> Vec<(&'static str, &'static str, Change)> {
    let words = "the status is the same, the text of a refused upgrade is our own";
    vec![
        ("connect: vsn 1.0.0", CODES, Code(1003)),
        ("connect: vsn 1.0.7", CODES, Code(1003)),
        ("v1 missing field", CODES, Code(1003)),
        ("v1 missing ref", CODES, Code(1003)),
        ("v1 array frame", CODES, Code(1003)),
        ("binary frame too short", CODES, Code(1003)),
        ("binary frame lengths past end", CODES, Code(1003)),
        ("empty binary frame", CODES, Code(1003)),
        ("binary invalid utf8 topic", CODES, Code(1007)),
        ("text: empty text frame", CODES, Code(1003)),
        ("text: json object in v2", CODES, Code(1003)),
        ("text: array of 4", CODES, Code(1003)),
        ("text: empty array", CODES, Code(1003)),
        ("text: json string", CODES, Code(1003)),
        ("text: json nested garbage after", CODES, Code(1003)),
        (
            "connect: auth_token bad base64",
            "what a client sends wrongly is its fault, 400, not the server's, 500",
            Refused(400),
        ),
        ("connect: plain GET and others", words, OtherWords),
        (
            "connect: ws version 12",
            "a client of another version is told ours, with the status that RFC 6455 has for it",
            Http(426, "the `sec-websocket-version` header must be `13`"),
        ),
    ]
}

/// Messages that overtake the end of their channel.
fn pipelined() -> Vec<(&'static str, &'static str, Change)> {
    let too_late = |reference| {
        let refusal = r#"{"status":"error","response":{"reason":"unmatched topic"}}"#;
        let reply = format!(r#"[null,"{reference}","room:lobby","phx_reply",{refusal}]"#);
        vec![got(&reply)]
    };
    let left_twice = vec![got(&echoed(3, "{}"))];
    vec![
        (
            "pushes pipelined behind the join",
            PIPELINED,
            From(12, too_late(5)),
        ),
        ("push right behind leave", PIPELINED, From(8, too_late(3))),
        ("double leave pipelined", PIPELINED, From(8, left_twice)),
        ("crash with pipelined push", PIPELINED, From(7, too_late(3))),
    ]
}

/// Messages that the original answers with the end of the channel or of the connection.
fn lenient() -> Vec<(&'static str, &'static str, Change)> {
    let refused = |refusal: &str| {
        let reply = format!(r#"{{"status":"error","response":{refusal}}}"#);
        vec![
            got(&format!(r#"["1","2","room:lobby","phx_reply",{reply}]"#)),
            // The channel lives.
            says(r#"["1","3","room:lobby","ping",{}]"#),
            got(&echoed(3, "{}")),
        ]
    };
    let long_ref = "r".repeat(300);
    let unsendable = "the ref is 300 bytes long, but a binary frame holds at most 255";
    let unsendable = format!(
        r#"["2","{long_ref}","room:binjoin","phx_reply",{{"status":"error","response":
            {{"reason":"reply cannot be sent","message":"{unsendable}"}}}}]"#
    );
    let unknown = r#"{"reason":"unknown event"}"#;
    let no_body = r#"{"reason":"invalid payload","field":"body","message":"the field is missing"}"#;
    let no_bytes = r#"{"reason":"invalid payload","message":"expected binary data, got JSON"}"#;
    let duplicates = r#"{"a":1,"a":2,"n":123456789012345678901234567890,"e":1e10}"#;
    vec![
        ("unhandled event", LIVES, From(5, refused(unknown))),
        ("text: null event", LIVES, From(5, refused(unknown))),
        (
            "bad payload shape crashes",
            LIVES,
            From(5, refused(no_body)),
        ),
        (
            "text push to binary handler",
            LIVES,
            From(5, refused(no_bytes)),
        ),
        (
            "server binary push event > 255 bytes",
            "what cannot be sent is an error where it is sent: the handler gets it, and the \
             client an error reply",
            From(5, refused(r#"{"reason":"server error"}"#)),
        ),
        (
            "ref of 300 bytes",
            "a reply that cannot be sent becomes an error reply and not the end of the connection",
            From(7, vec![got(&unsendable)]),
        ),
        (
            "text: duplicate keys, big ints, escapes",
            "an echoed payload is passed on as it came, with both of the duplicate keys",
            From(
                5,
                vec![
                    got(&echoed(2, duplicates)),
                    says(r#"["1","3","room:lobby","ping",{"s":"\u00e9\ud83d\ude00\/"}]"#),
                    got(&echoed(3, r#"{"s":"é😀/"}"#)),
                ],
            ),
        ),
        (
            "text: float overflow",
            "a payload that is only echoed is not decoded, so no number is too large for it",
            From(5, vec![got(&echoed(2, r#"{"e":1e400}"#))]),
        ),
        (
            "v1 receives binary broadcast",
            "a subscriber whose protocol has no binary frames is left out; the broadcaster does \
             not fail",
            Http(200, "ok"),
        ),
        (
            "broadcast of non-map payload",
            "any JSON can be broadcast and pushed, not maps alone",
            From(7, lists()),
        ),
        (
            "async without ref",
            "a message without a ref is answered with a null ref, also from another task",
            From(
                5,
                vec![got(
                    r#"["1",null,"room:lobby","phx_reply",{"status":"ok","response":{"async":true}}]"#,
                )],
            ),
        ),
    ]
}

/// `[1]` as the payload of a push and of a broadcast.
fn lists() -> Vec<HandlerFuture> {
    let joined = |join_ref| {
        let reply = r#"{"status":"ok","response":{"id":"duo"}}"#;
        format!(r#"["{join_ref}","{join_ref}","room:duo","phx_reply",{reply}]"#)
    };
    vec![
        got(r#"["1",null,"room:alone","pushed",[1]]"#),
        HandlerFuture::Connect("b".to_owned(), 101),
        send_from("b", r#"["1","1","room:duo","phx_join",{}]"#),
        receive("b", &joined(1)),
        says(r#"["5","5","room:duo","phx_join",{}]"#),
        got(&joined(5)),
        says(r#"["5","6","room:duo","from_msg",[1]]"#),
        got(r#"["5","6","room:duo","phx_reply",{"status":"ok","response":{}}]"#),
        receive("b", r#"[null,null,"room:duo","from_msg",[1]]"#),
    ]
}

/// The effects of the rule that no channel, not even its join, holds up another.
fn tasks() -> Vec<(&'static str, &'static str, Change)> {
    let heartbeat = r#"[null,"hb","phoenix","phx_reply",{"status":"ok","response":{}}]"#;
    let other = r#"["2","5","room:2","phx_reply",{"status":"ok","response":{}}]"#;
    vec![
        (
            "slow join blocks the whole socket",
            "a slow join holds up nothing but its own channel",
            From(
                4,
                vec![
                    got(heartbeat),
                    got(r#"["1","1","room:slow_join","phx_reply",{"status":"ok","response":{}}]"#),
                ],
            ),
        ),
        (
            "slow handler keeps order, heartbeat overtakes",
            "the heartbeat and another channel overtake the slow handler, in either order: the \
             connection and each channel run at the same time",
            From(
                10,
                vec![
                    HandlerFuture::AnyOrder(
                        "a".to_owned(),
                        vec![heartbeat.to_owned(), other.to_owned()],
                    ),
                    got(
                        r#"["1","3","room:1","phx_reply",{"status":"ok","response":{"slept":150}}]"#,
                    ),
                    got(r#"["1","4","room:1","phx_reply",{"status":"ok","response":{}}]"#),
                ],
            ),
        ),
    ]
}

fn echoed(reference: u32, payload: &str) -> String {
    let reply = format!(r#"{{"status":"ok","response":{payload}}}"#);
    format!(r#"["1","{reference}","room:lobby","phx_reply",{reply}]"#)
}

/// Applies the changes to the scenarios, and returns the number of changed ones.
pub(crate) fn apply(scenarios: &mut [Scenario]) -> Outcome<usize> {
    let table = table();
    let count = table.len();
    for (name, reason, change) in table {
        println!("as ours: {name:?}: {reason}");
        let mut named = scenarios
            .iter_mut()
            .filter(|scenario| scenario.name == name);
        let (Some(scenario), None) = (named.next(), named.next()) else {
            return Err(format!("{name:?} is not recorded exactly once"));
        };
        change
            .apply(scenario)
            .map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(count)
}

impl Change {
    fn apply(self, scenario: &mut Scenario) -> Outcome<()> {
        let steps = &mut scenario.steps;
        let mut changed = 0;
        for step in &mut *steps {
            match (&self, step) {
                (Code(code), HandlerFuture::Receive(_, Expected::Close(recorded))) => {
                    *recorded = *code
                }
                (Refused(status), HandlerFuture::Connect(client, recorded)) => {
                    *recorded = *status;
                    let opening = scenario.openings.get_mut(client);
                    opening.ok_or("nobody connects")?.http_body.clear();
                }
                (OtherWords, HandlerFuture::Http(http)) => http.body = None,
                (Http(status, body), HandlerFuture::Http(http)) => {
                    (http.status, http.body) = (*status, Some((*body).to_owned()));
                }
                _ => continue,
            }
            changed += 1;
        }
        match self {
            From(first, _) if first > steps.len() + 1 => Err(format!("there is no step {first}")),
            From(first, ours) => {
                steps.truncate(first - 1);
                steps.extend(ours);
                Ok(())
            }
            _ if changed == 0 => Err("nothing in it differs".to_owned()),
            _ => Ok(()),
        }
    }
}
