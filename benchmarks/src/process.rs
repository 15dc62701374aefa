//! The kernel's figures of a process: its CPU time and its memory.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

/// CPU time that a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// The user and system time, to the nanosecond.
    total: Duration,
    /// The part in user mode, in clock ticks.
    user: u64,
    /// The part in the kernel, in clock ticks.
    system: u64,
}

impl Cpu {
    /// Returns the time used since `then`, and the part of it in the kernel, if there were enough
    /// ticks to tell.
    pub fn since(self, then: Cpu) -> (Duration, Option<Duration>) {
        let total = self.total - then.total;
        let (user, system) = (self.user - then.user, self.system - then.system);
        let share = (user + system >= 50).then(|| system as f64 / (user + system) as f64);
        (total, share.map(|share| total.mul_f64(share)))
    }
}

/// A server under measurement. It is killed on drop, and when the load generator ends.
pub struct Process {
    child: Child,
    /// The address that it listens on.
    pub addr: String,
    /// True to ask it to end instead of killing it: a profiler writes its results at the end.
    pub ends_by_itself: bool,
}

impl Process {
    /// Starts a server that prints one line ending in its address.
    pub fn start(mut command: Command) -> Result<Self> {
        // SAFETY: between fork and exec only async-signal-safe functions may be called; prctl is a
        // plain system call.
        unsafe {
            command.pre_exec(
                || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                },
            );
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut process = Process {
            child,
            addr: String::new(),
            ends_by_itself: false,
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(!line.is_empty(), "it ended before it listened");
        process.addr = line
            .trim()
            .rsplit(['/', ' '])
            .next()
            .unwrap_or_default()
            .to_owned();
        Ok(process)
    }

    /// Returns the CPU time of all its threads so far.
    pub fn cpu(&self) -> Result<Cpu> {
        let mut total = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            total += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The fields come after its name, which may hold anything: utime and stime are the 14th and
        // 15th.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let mut next = || ticks.next().context("no CPU time in its stat");
        Ok(Cpu {
            total: Duration::from_nanos(total),
            user: next()??,
            system: next()??,
        })
    }

    /// Returns the resident memory in KiB, without the kernel's memory for its sockets.
    pub fn memory(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .context("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).unwrap_or_default().parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ends_by_itself {
            // SAFETY: a plain system call; the child has not been waited for, so its id is its own.
            unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        } else {
            let _gone = self.child.kill();
        }
        let _gone = self.child.wait();
    }
}
