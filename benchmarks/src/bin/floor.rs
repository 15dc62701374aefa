//! The floor: the least that any server must do. One thread, one epoll; a broadcast is encoded once
//! and written to each subscriber of its topic with one `write`. With `COALESCE=1`, the broadcasts
//! of one turn of the loop are written to each subscriber at its end, in one `write`.
//!
//! It speaks just the messages the load generator sends.

use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
    net::Ipv4Addr,
};

use anyhow::Result;
use benchmarks::ws;
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

const LISTENER: Token = Token(usize::MAX);

struct Client {
    stream: TcpStream,
    rest: Vec<u8>,
    open: bool,
    /// The topics that it has joined since the last look.
    joined: Vec<String>,
}

/// A broadcast: its topic, and the whole frame.
type Cast = (String, Vec<u8>);

fn main() -> Result<()> {
    let coalesce = std::env::var("COALESCE").is_ok_and(|value| value == "1");
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("floor listening on http://{}", listener.local_addr()?);
    let mut events = Events::with_capacity(1024);
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut subscribers: HashMap<String, Vec<usize>> = HashMap::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        let mut casts: Vec<Cast> = Vec::new();
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut clients)?;
                continue;
            }
            let at = event.token().0;
            let Some(client) = clients[at].as_mut() else {
                continue;
            };
            let alive = serve(client, &mut buffer, &mut casts);
            for topic in client.joined.drain(..) {
                subscribers.entry(topic).or_default().push(at);
            }
            if !alive {
                clients[at] = None;
            }
            if !coalesce {
                for (topic, frame) in casts.drain(..) {
                    deliver(&mut clients, subscribers.get(&topic), &frame);
                }
            }
        }
        let mut coalesced: HashMap<String, Vec<u8>> = HashMap::new();
        for (topic, frame) in casts {
            coalesced.entry(topic).or_default().extend(frame);
        }
        for (topic, frames) in coalesced {
            deliver(&mut clients, subscribers.get(&topic), &frames);
        }
    }
}

fn accept(listener: &TcpListener, poll: &Poll, clients: &mut Vec<Option<Client>>) -> Result<()> {
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nodelay(true)?;
        poll.registry()
            .register(&mut stream, Token(clients.len()), Interest::READABLE)?;
        clients.push(Some(Client {
            stream,
            rest: Vec::new(),
            open: false,
            joined: Vec::new(),
        }));
    }
    Ok(())
}

/// Reads the available bytes. Returns false if the client is gone. Broadcasts are appended to
/// `casts`.
fn serve(client: &mut Client, buffer: &mut [u8], casts: &mut Vec<Cast>) -> bool {
    loop {
        match client.stream.read(buffer) {
            Ok(0) => return false,
            Ok(read) => client.rest.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => return false,
        }
        if client.rest.len() < buffer.len() {
            break;
        }
    }
    let mut bytes = std::mem::take(&mut client.rest);
    let mut at = 0;
    if !client.open {
        let Some(end) = ws::head_end(&bytes) else {
            client.rest = bytes;
            return true;
        };
        client.open = true;
        at = end;
        if client.stream.write_all(ws::ACCEPT).is_err() {
            return false;
        }
    }
    let mut replies = Vec::new();
    while let Some(frame) = ws::frame(&bytes[at..]) {
        let (start, end) = (at + frame.start, at + frame.end);
        if let Some(mask) = frame.mask {
            for (n, byte) in bytes[start..end].iter_mut().enumerate() {
                *byte ^= mask[n % 4];
            }
        }
        answer(client, &bytes[start..end], &mut replies, casts);
        at = end;
    }
    client.rest = bytes.split_off(at);
    if client.rest.is_empty() {
        client.rest = Vec::new();
    }
    replies.is_empty() || client.stream.write_all(&replies).is_ok()
}

fn answer(client: &mut Client, payload: &[u8], replies: &mut Vec<u8>, casts: &mut Vec<Cast>) {
    let Ok((join_ref, reference, topic, event, body)) =
        serde_json::from_slice::<(&str, &str, &str, &str, &serde_json::value::RawValue)>(payload)
    else {
        return;
    };
    if event == "cast" {
        let frame = format!("[null,null,\"{topic}\",\"cast\",{}]", body.get());
        let mut whole = Vec::with_capacity(frame.len() + 10);
        ws::text(&mut whole, frame.as_bytes(), false);
        casts.push((topic.to_owned(), whole));
        return;
    }
    if event == "phx_join" {
        client.joined.push(topic.to_owned());
    }
    let response = if event == "echo" { body.get() } else { "{}" };
    let frame = format!(
        "[\"{join_ref}\",\"{reference}\",\"{topic}\",\"phx_reply\",{{\"status\":\"ok\",\"response\":{response}}}]"
    );
    ws::text(replies, frame.as_bytes(), false);
}

fn deliver(clients: &mut [Option<Client>], subscribers: Option<&Vec<usize>>, frames: &[u8]) {
    for &at in subscribers.into_iter().flatten() {
        let Some(client) = &mut clients[at] else {
            continue;
        };
        // A generator that does not keep up is no part of the floor.
        while let Err(error) = client.stream.write_all(frames) {
            if error.kind() != ErrorKind::WouldBlock {
                break;
            }
        }
    }
}
