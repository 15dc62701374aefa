//! `cargo xtask dev` with a project of its own: changed, broken, fixed.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use tempfile::TempDir;

const MANIFEST: &str = "[package]\nname = \"fixture\"\nedition = \"2024\"\n[workspace]\n";

/// Returns a program that answers with its version, on the socket it is started with.
fn source(version: u8) -> String {
    format!(
        r#"use std::{{env, io::Write, net::TcpListener, os::fd::FromRawFd, process}};
        fn main() {{
            assert_eq!(env::var("LISTEN_FDS").unwrap(), "1");
            assert_eq!(env::var("LISTEN_PID").unwrap(), process::id().to_string());
            let listener = unsafe {{ TcpListener::from_raw_fd(3) }};
            println!("version {version}");
            for stream in listener.incoming() {{
                let _gone = stream.unwrap().write_all(b"{version}");
            }}
        }}"#
    )
}

struct Dev {
    child: Child,
    lines: Receiver<String>,
    folder: TempDir,
}

impl Dev {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("Cargo.toml"), MANIFEST).unwrap();
        fs::write(folder.path().join("src/main.rs"), source(1)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["dev", "-p", "fixture"])
            .current_dir(folder.path())
            .env("PORT", "0")
            .env_remove("CARGO_TARGET_DIR")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let both: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for output in both {
            let sender = sender.clone();
            thread::spawn(move || {
                let lines = BufReader::new(output).lines().map_while(Result::ok);
                lines.for_each(|line| drop(sender.send(line)));
            });
        }
        Dev {
            child,
            lines,
            folder,
        }
    }

    /// Waits for a line of its output, from cargo or from the program.
    fn says(&self, what: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|error| panic!("no {what:?}: {error}"));
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Edits the file as editors do it: at no time is there half a file.
    fn edit(&self, text: &str) {
        let path: &Path = self.folder.path();
        let half = path.join("src/.main.rs");
        fs::write(&half, text).unwrap();
        fs::rename(half, path.join("src/main.rs")).unwrap();
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let pid = self.child.id().to_string();
            let _ended_already = Command::new("kill").arg(pid).status();
            let _status = self.child.wait();
        }
    }
}

fn answer(address: &str) -> String {
    let mut text = String::new();
    let mut stream = TcpStream::connect(address).expect("refused");
    // A program that is stopped in between answers nothing, or resets.
    let _cut_off = stream.read_to_string(&mut text);
    text
}

#[test]
fn a_change_restarts_the_program_a_mistake_does_not_and_nobody_is_refused() {
    let mut dev = Dev::start();
    let line = dev.says("dev: fixture on http://");
    let address = line.split(['/', ',']).find(|part| part.starts_with("127."));
    let address = address.unwrap().to_owned();
    dev.says("version 1");
    assert_eq!(answer(&address), "1");

    let done = Arc::new(AtomicBool::new(false));
    let (saw, seen) = channel();
    let visitor = thread::spawn({
        let (done, address) = (done.clone(), address.clone());
        move || {
            while !done.load(Ordering::Relaxed) {
                saw.send(answer(&address)).unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let sees = |version: &str| while seen.recv().expect("it was refused") != version {};
    sees("1");
    dev.edit("fn main( {");
    dev.says("what was built before runs on");
    assert_eq!(answer(&address), "1");
    dev.edit(&source(2));
    dev.says("version 2");
    assert_eq!(answer(&address), "2");
    sees("2");
    done.store(true, Ordering::Relaxed);
    visitor.join().unwrap();

    let pid = dev.child.id().to_string();
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    assert_eq!(dev.child.wait().unwrap().code(), Some(0));
    assert!(
        TcpStream::connect(&address).is_err(),
        "the program ended too"
    );
}
