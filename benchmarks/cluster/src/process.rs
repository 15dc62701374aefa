//! A process that takes commands, one per line.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::side::Kind;

/// A worker. It ends on drop.
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    pub(crate) async fn start(kind: Kind, url: &str, name: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["worker", kind.name(), url, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let input = child.stdin.take().context("a worker has an input")?;
        let output = child.stdout.take().context("a worker has an output")?;
        let mut worker = Worker {
            child,
            input,
            output: BufReader::new(output).lines(),
        };
        worker.answer().await?;
        Ok(worker)
    }

    pub(crate) fn pid(&self) -> u32 {
        // A worker that has ended shows in its next answer.
        self.child.id().unwrap_or_default()
    }

    pub(crate) async fn tell(&mut self, line: &str) -> Result<()> {
        Ok(self.input.write_all(format!("{line}\n").as_bytes()).await?)
    }

    pub(crate) async fn answer(&mut self) -> Result<String> {
        let line = self.output.next_line().await?;
        line.context("a worker has ended")
    }

    pub(crate) async fn ask(&mut self, line: &str) -> Result<String> {
        self.tell(line).await?;
        self.answer().await
    }
}

/// Returns the CPU time of all threads of a process so far.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let mut total = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        total += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}
