//! `cargo xtask dev`: rebuilds and restarts an example whenever its source changes, while its
//! listening socket stays open.

use std::{
    collections::BTreeSet,
    env,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use notify::{EventKind, RecursiveMode, Watcher};

use crate::{command::command, workspace::Workspace};

/// The time that an editor may take to write all of its files.
const QUIET: Duration = Duration::from_millis(100);

/// The time that a program may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The events while a program is developed.
enum Event {
    Changed(PathBuf),
    Stop,
}

/// Builds, runs, and restarts, until ctrl-c or SIGTERM.
pub(crate) fn dev(workspace: &Workspace, package: &str) -> Result<()> {
    if cfg!(not(unix)) {
        bail!("`dev` hands over a socket as Unix does; here, restart `cargo run` by hand");
    }
    let features = workspace.features(package)?;
    let reload = features.iter().any(|feature| feature == "reload");
    let folders = workspace.folders(package)?;
    let port = port()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("cannot listen on port {port}; set PORT to another"))?;
    println!(
        "dev: {package} on http://{}, restarted on every change",
        listener.local_addr()?
    );
    let (sender, events) = channel();
    stop_on_signal(sender.clone())?;
    let _watcher = watch(&folders, sender)?;
    let mut project = Project {
        package,
        reload,
        program: workspace.program(package),
        listener,
        running: None,
    };
    project.refresh();
    while let Some(changed) = next_change(&events) {
        println!("dev: {} has changed", changed.display());
        project.refresh();
    }
    project.stop();
    Ok(())
}

fn port() -> Result<u16> {
    let text = env::var("PORT").unwrap_or_else(|_| "4000".to_owned());
    text.parse()
        .with_context(|| format!("PORT must be a number from 0 to 65535, not {text:?}"))
}

fn stop_on_signal(sender: Sender<Event>) -> Result<()> {
    ctrlc::set_handler(move || {
        let _over_already = sender.send(Event::Stop);
    })
    .context("signals cannot be listened to")
}

fn watch(folders: &BTreeSet<PathBuf>, sender: Sender<Event>) -> Result<impl Watcher + use<>> {
    let tell = move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        for path in event.paths.into_iter().filter(|path| is_source(path)) {
            let _over_already = sender.send(Event::Changed(path));
        }
    };
    let mut watcher = notify::recommended_watcher(tell)?;
    for folder in folders {
        watcher
            .watch(folder, RecursiveMode::Recursive)
            .with_context(|| format!("cannot watch {}", folder.display()))?;
    }
    Ok(watcher)
}

/// Returns true for source files: editors write other files beside those that they edit.
fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !(name.starts_with('.') || name.ends_with('~') || name.chars().all(|c| c.is_ascii_digit()))
}

/// Waits for a change and for the end of those that follow at once. Returns `None` when it is time
/// to stop.
fn next_change(events: &Receiver<Event>) -> Option<PathBuf> {
    let Ok(Event::Changed(first)) = events.recv() else {
        return None;
    };
    loop {
        match events.recv_timeout(QUIET) {
            Ok(Event::Changed(_)) => {}
            Err(RecvTimeoutError::Timeout) => return Some(first),
            Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

struct Project<'a> {
    package: &'a str,
    reload: bool,
    program: PathBuf,
    listener: TcpListener,
    running: Option<(Child, SystemTime)>,
}

impl Project<'_> {
    /// Builds, and starts the result. If the build fails, the running program goes on.
    fn refresh(&mut self) {
        if let Err(error) = self.build().and_then(|built| self.restart(built)) {
            eprintln!("dev: {error:#}");
        }
    }

    /// Builds the program, and returns the time of the build.
    fn build(&self) -> Result<SystemTime> {
        let mut cargo = command("cargo", &["build", "--quiet", "--package", self.package]);
        if self.reload {
            cargo.args(["--features", "reload"]);
        }
        if !cargo.status().context("cannot start cargo")?.success() {
            match self.running {
                Some(_) => bail!("it does not build; what was built before runs on"),
                None => bail!("it does not build"),
            }
        }
        let metadata = self.program.metadata();
        let modified = metadata.and_then(|metadata| metadata.modified());
        modified.with_context(|| format!("there is no {}", self.program.display()))
    }

    fn restart(&mut self, built: SystemTime) -> Result<()> {
        let is_current = self.running.as_mut().is_some_and(|(child, former)| {
            *former == built && matches!(child.try_wait(), Ok(None))
        });
        if is_current {
            return Ok(());
        }
        // Clients that connect in between wait in the socket's queue.
        self.stop();
        self.running = Some((self.start()?, built));
        Ok(())
    }

    /// Passes the socket on as systemd does: it is file 3, and the variables name its receiver.
    #[cfg(unix)]
    fn start(&self) -> Result<Child> {
        const HAND_OVER: &str = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" 3<&0 </dev/null";

        let socket = std::os::fd::OwnedFd::from(self.listener.try_clone()?);
        Command::new("sh")
            .args(["-c", HAND_OVER])
            .arg(&self.program)
            .stdin(Stdio::from(socket))
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))
    }

    #[cfg(not(unix))]
    fn start(&self) -> Result<Child> {
        bail!("{} cannot be handed a socket here", self.program.display())
    }

    /// Asks the program to end, and kills it if it does not.
    fn stop(&mut self) {
        let Some((mut child, _)) = self.running.take() else {
            return;
        };
        let asked = command("kill", &[&child.id().to_string()]).status();
        let until = Instant::now() + PATIENCE;
        while asked.as_ref().is_ok_and(|asked| asked.success())
            && Instant::now() < until
            && matches!(child.try_wait(), Ok(None))
        {
            thread::sleep(Duration::from_millis(10));
        }
        let _ended_already = child.kill();
        let _status = child.wait();
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_leave_beside_a_file_is_no_source() {
        for (name, source) in [
            ("main.rs", true),
            ("style.css", true),
            (".main.rs.swp", false),
            ("main.rs~", false),
            ("4913", false),
        ] {
            assert_eq!(is_source(Path::new(name)), source, "{name}");
        }
    }

    #[test]
    fn changes_that_follow_each_other_are_one() {
        let (sender, events) = channel();
        for name in ["a", "b", "c"] {
            sender.send(Event::Changed(name.into())).unwrap();
        }
        assert_eq!(next_change(&events), Some("a".into()));
        sender.send(Event::Changed("d".into())).unwrap();
        sender.send(Event::Stop).unwrap();
        assert_eq!(next_change(&events), None);
        drop(sender);
        assert_eq!(next_change(&events), None);
    }
}
