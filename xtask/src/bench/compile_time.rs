//! The compile time of the macros: a crate of many channels beside the same one written by hand.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::figures::median;
use crate::{command::command, workspace::Workspace};

/// The number of channels of each crate. Their source is one channel with `0` for the number.
const CHANNELS: usize = 100;

/// The two crates, and the source of their channels.
const CRATES: [(&str, &str); 2] = [
    ("macros", include_str!("compile_time/macros.rs")),
    ("by-hand", include_str!("compile_time/by_hand.rs")),
];

/// The cost of one of the crates.
#[derive(Debug, Serialize, Deserialize)]
struct Cost {
    name: String,
    /// The time to check all of it.
    anew: Duration,
    /// The time to check it again after a touch: the work that the compiler cannot reuse.
    again: Duration,
    written: usize,
    expanded: usize,
}

/// The costs of both crates.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CompileTime {
    costs: Vec<Cost>,
}

/// Generates both crates, and times `cargo check` of each with its dependencies built.
pub(crate) fn measure(workspace: &Workspace, quick: bool) -> Result<CompileTime> {
    let runs = if quick { 1 } else { 5 };
    let crates = CRATES.map(|(name, channel)| (name, generate(workspace, name, channel)));
    let mut folders = Vec::new();
    for (_, folder) in crates {
        folders.push(folder?);
    }
    let anew = times(&folders, Incremental::No, runs)?;
    let again = times(&folders, Incremental::Yes, runs)?;
    let mut costs = Vec::new();
    for (at, folder) in folders.iter().enumerate() {
        costs.push(Cost {
            name: CRATES[at].0.to_owned(),
            anew: anew[at],
            again: again[at],
            written: lines(&fs::read_to_string(folder.join("src/lib.rs"))?),
            expanded: lines(&expand(folder)?),
        });
    }
    Ok(CompileTime { costs })
}

/// Returns the median time to check each crate.
fn times(folders: &[PathBuf], incremental: Incremental, runs: usize) -> Result<Vec<Duration>> {
    for folder in folders {
        check(folder, incremental)?;
    }
    let mut times = vec![Vec::new(); folders.len()];
    // In turns, so that other load of the machine affects all of them.
    for _ in 0..runs {
        for (folder, times) in folders.iter().zip(&mut times) {
            times.push(check(folder, incremental)?.as_secs_f64());
        }
    }
    let middle = times.into_iter().map(|times| median(times.into_iter()));
    let middle = middle.map(|time| time.map(Duration::from_secs_f64));
    middle.collect::<Option<_>>().context("nothing was run")
}

/// The use of the compiler's incremental results.
#[derive(Clone, Copy)]
enum Incremental {
    No,
    Yes,
}

/// Writes a crate, a workspace of its own with the project's lock file.
fn generate(workspace: &Workspace, name: &str, channel: &str) -> Result<PathBuf> {
    let folder = workspace.root.join("target/compile-time").join(name);
    let runtime = workspace.root.join("channel-runtime");
    let manifest = format!(
        "[package]\nname = \"compile-time-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         publish = false\n\n[workspace]\n\n[dependencies]\n\
         channel-runtime = {{ path = {runtime:?} }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n"
    );
    fs::create_dir_all(folder.join("src"))
        .with_context(|| format!("cannot write {}", folder.display()))?;
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::copy(workspace.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    fs::write(folder.join("src/lib.rs"), source(channel, CHANNELS))?;
    Ok(folder)
}

/// Returns the source of a crate: this many modules of the same channel, each with names of its
/// own.
fn source(channel: &str, channels: usize) -> String {
    let modules = (0..channels).map(|n| {
        let channel = channel
            .replace("Room0", &format!("Room{n}"))
            .replace("room0", &format!("room{n}"));
        format!("pub mod room{n} {{\n{channel}}}\n")
    });
    modules.collect()
}

/// Returns the time to check a crate alone, as if it had changed.
fn check(folder: &Path, incremental: Incremental) -> Result<Duration> {
    let source = folder.join("src/lib.rs");
    let text = fs::read(&source)?;
    fs::write(&source, text)?;
    let mut cargo = cargo(folder, &["check", "--quiet"]);
    cargo.env("CARGO_INCREMENTAL", (incremental as u8).to_string());
    let started = Instant::now();
    let status = cargo.status().context("cannot start cargo")?;
    let took = started.elapsed();
    ensure!(
        status.success(),
        "the generated crate {} does not compile",
        folder.display()
    );
    Ok(took)
}

/// Returns cargo for one of the crates; they share a target folder.
fn cargo(folder: &Path, arguments: &[&str]) -> Command {
    let mut cargo = command("cargo", arguments);
    cargo
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.with_file_name("built"));
    cargo
}

/// Returns the source of a crate after macros have run.
fn expand(folder: &Path) -> Result<String> {
    let arguments = [
        "rustc",
        "--quiet",
        "--profile=check",
        "--",
        "-Zunpretty=expanded",
    ];
    let mut cargo = cargo(folder, &arguments);
    // The option is unstable, but its output is only counted.
    cargo.env("RUSTC_BOOTSTRAP", "1").stderr(Stdio::inherit());
    let output = cargo.output().context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "{} cannot be expanded",
        folder.display()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Counts the lines that are not empty.
fn lines(text: &str) -> usize {
    text.lines().filter(|line| !line.trim().is_empty()).count()
}

impl CompileTime {
    /// Returns the table of both.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "`cargo check` of a crate of {CHANNELS} channels with 10 handlers each, its \
             dependencies built: all of it, and again after a touch, when the compiler keeps what \
             it can.\n\n\
             | | check ms | again ms | lines written | lines expanded |\n|---|---|---|---|---|\n"
        );
        for cost in &self.costs {
            text += &format!(
                "| {} | {} | {} | {} | {} |\n",
                cost.name,
                cost.anew.as_millis(),
                cost.again.as_millis(),
                cost.written,
                cost.expanded
            );
        }
        if let [macros, by_hand] = &self.costs[..] {
            let ratio = |of: fn(&Cost) -> f64| of(macros) / of(by_hand);
            text += &format!(
                "| macros ÷ by hand | {:.2} | {:.2} | {:.2} | {:.2} |\n",
                ratio(|cost| cost.anew.as_secs_f64()),
                ratio(|cost| cost.again.as_secs_f64()),
                ratio(|cost| cost.written as f64),
                ratio(|cost| cost.expanded as f64)
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_names_of_its_own() {
        let source = source("struct Room0; // room0:*\n", 2);
        assert_eq!(
            source,
            "pub mod room0 {\nstruct Room0; // room0:*\n}\npub mod room1 {\nstruct Room1; // room1:*\n}\n"
        );
    }

    #[test]
    fn empty_lines_do_not_count() {
        assert_eq!(lines("a\n\n  \nb\n"), 2);
    }

    #[test]
    fn the_table_ends_with_the_ratio() {
        let cost = |name: &str, check, lines| Cost {
            name: name.to_owned(),
            anew: Duration::from_millis(check),
            again: Duration::from_millis(check * 2),
            written: 10,
            expanded: lines,
        };
        let costs = vec![cost("macros", 300, 90), cost("by-hand", 200, 60)];
        let table = CompileTime { costs }.table();
        assert!(
            table.contains("| macros | 300 | 600 | 10 | 90 |\n"),
            "{table}"
        );
        let last = "| macros ÷ by hand | 1.50 | 1.50 | 1.00 | 1.50 |\n";
        assert!(table.ends_with(last), "{table}");
    }
}
