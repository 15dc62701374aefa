//! The program during development: a restart that refuses no client, and files that change.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

use std::{
    fs::{File, FileTimes},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::channel,
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

/// A program that listens on the socket it is started with.
struct Chat(Child);

impl Chat {
    fn start(listener: &TcpListener) -> Self {
        let socket = OwnedFd::from(listener.try_clone().unwrap());
        // Like systemd: the socket is file 3, and a variable names its receiver.
        let hand_over = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" 3<&0 </dev/null";
        let mut child = Command::new("sh")
            .args(["-c", hand_over, env!("CARGO_BIN_EXE_chat")])
            .env("PORT", "not used")
            .stdin(socket)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(line, format!("chat listening on http://{address}\n"));
        Chat(child)
    }

    fn stop(mut self) {
        let kill = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(kill.unwrap().success());
        assert_eq!(self.0.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
    }
}

fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let limit = Some(Duration::from_secs(60));
    stream.set_read_timeout(limit).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut answer = String::new();
    ask(address, path).read_to_string(&mut answer).unwrap();
    answer
}

/// Returns true if a visitor was answered, which the server owes to all that ask in time. A visitor
/// that was delayed between connecting and asking, for as long as a server that ends would wait,
/// proves nothing.
fn visit(address: SocketAddr) -> bool {
    let connected = Instant::now();
    let mut stream = ask(address, "/style.css");
    let was_late = connected.elapsed() > Duration::from_millis(400);
    let mut page = String::new();
    let read = stream.read_to_string(&mut page);
    let answered = page.starts_with("HTTP/1.1 200 OK");
    assert!(answered || was_late, "{read:?}: {page:?}");
    answered
}

/// Returns the server that a page names.
fn server(address: SocketAddr) -> String {
    let page = get(address, "/");
    let (_, rest) = page
        .split_once("/__reload/script.js?server=")
        .expect("the script");
    rest.split('"').next().unwrap().to_owned()
}

/// Reads a page's events up to one that contains a text. Returns true if it came before the end.
fn hears(events: &mut BufReader<TcpStream>, what: &str) -> bool {
    let lines = events.lines().map_while(Result::ok);
    lines.into_iter().any(|line| line.contains(what))
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn nobody_is_refused_while_it_is_restarted() {
    let (listener, address) = listener();
    let first = Chat::start(&listener);
    let before = server(address);
    let mut page = BufReader::new(ask(address, "/__reload/events"));
    assert!(hears(&mut page, &before));

    let done = Arc::new(AtomicBool::new(false));
    let (answered, answers) = channel();
    let visitors = [answered.clone(), answered].map(|answered| {
        let done = done.clone();
        thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                if visit(address) {
                    answered.send(()).unwrap();
                }
            }
        })
    });
    let more = || {
        while answers.try_recv().is_ok() {}
        for _ in 0..20 {
            answers.recv().expect("a visitor is left");
        }
    };
    more();
    first.stop();
    assert!(!hears(&mut page, "never"), "the page's stream has ended");
    let mut running = Chat::start(&listener);
    for _ in 0..3 {
        more();
        running.stop();
        running = Chat::start(&listener);
    }
    more();
    done.store(true, Ordering::Relaxed);
    for visitor in visitors {
        visitor.join().unwrap();
    }

    let after = server(address);
    assert_ne!(before, after, "the page knows that it is old");
    let mut page = BufReader::new(ask(address, "/__reload/events"));
    assert!(hears(&mut page, &after));
    running.stop();
}

#[test]
fn a_page_hears_of_a_file_that_was_touched() {
    let (listener, address) = listener();
    let chat = Chat::start(&listener);
    let mut page = BufReader::new(ask(address, "/__reload/events"));
    assert!(hears(&mut page, "event: server"));
    let style = concat!(env!("CARGO_MANIFEST_DIR"), "/static/style.css");
    let now = FileTimes::new().set_modified(SystemTime::now());
    let file = File::options().append(true).open(style).unwrap();
    file.set_times(now).unwrap();
    assert!(hears(&mut page, "event: changed"));
    chat.stop();
}
