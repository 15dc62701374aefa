//! `cargo xtask bench`: all cases against all servers, several times over; the medians are kept
//! as `benchmarks/results.json`, and shown as tables and plots.

mod cases;
mod compile_time;
mod figures;
mod markdown;
mod options;
mod plots;
mod results;
mod svg;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};

pub(crate) use self::options::Options;
use self::{
    cases::{CASES, COMPILE_TIME, IN_NODE, SERVERS, Unit},
    figures::{Figures, Row, Run},
    results::Results,
};
use crate::{
    command::{command, run},
    setup,
    workspace::Workspace,
};

pub(crate) fn bench(workspace: &Workspace, options: &Options) -> Result<()> {
    let folder = workspace.root.join("benchmarks");
    let mut results = Results::read(&results::file(&workspace.root))?;
    if options.pages {
        return results.keep(&workspace.root);
    }
    let servers = servers(&folder);
    let run = Run {
        began: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        on: machine(),
        ..Run::default()
    };
    let measured = measure(&folder, &servers, options)?;
    let newer = Results {
        figures: Figures::median(&measured, &run),
        compile_time: match options.wants(COMPILE_TIME) {
            true => Some(compile_time::measure(workspace, options.quick)?),
            false => None,
        },
    };
    println!("\n{}\n{}", markdown::short(&newer.figures), newer.tables());
    if options.quick {
        println!("Nothing is written: this was quick, not fair.");
        return Ok(());
    }
    results.replace(newer);
    results.keep(&workspace.root)
}

/// Returns the servers that can be measured here, with their packages installed.
fn servers(folder: &Path) -> Vec<&'static str> {
    let node = setup::packages(&folder.join("peers/node"));
    if let Err(error) = &node {
        eprintln!("bench: without {}: {error:#}", IN_NODE.join(" and "));
    }
    let here = SERVERS.iter().copied();
    here.filter(|server| node.is_ok() || !IN_NODE.contains(server))
        .collect()
}

fn measure(folder: &Path, servers: &[&str], options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let wanted = CASES
        .iter()
        .filter(|case| case.name != COMPILE_TIME && options.wants(case.name));
    let wanted: Vec<_> = wanted.collect();
    if wanted.is_empty() {
        return Ok(rows);
    }
    let mut build = command("cargo", &["build", "--release", "--bins"]);
    build.current_dir(folder);
    run(build)?;
    for at in 1..=options.runs {
        // The memory use hardly changes from one run to the next.
        let cases = wanted
            .iter()
            .filter(|case| at == 1 || case.unit == Unit::Cpu);
        let cases: Vec<_> = cases.flat_map(|case| ["--case", case.name]).collect();
        if !cases.is_empty() {
            println!("\nrun {at} of {}", options.runs);
            rows.extend(load(folder, servers, &cases, options)?);
        }
    }
    Ok(rows)
}

/// Runs the load generator once, and shows its output as it comes.
fn load(folder: &Path, servers: &[&str], cases: &[&str], options: &Options) -> Result<Vec<Row>> {
    let mut load = command(
        "cargo",
        &["run", "--quiet", "--release", "--bin=load", "--", "--json"],
    );
    load.current_dir(folder).args(cases).args(servers);
    if options.quick {
        load.arg("--quick");
    }
    if let Some(url) = &options.url {
        load.args(["--url", url]);
    }
    let mut child = load
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut rows = Vec::new();
    let output = child
        .stdout
        .take()
        .context("the load generator has no output")?;
    for line in BufReader::new(output).lines() {
        let row = Row::read(&line?)?;
        println!("{}", markdown::line(&row));
        rows.push(row);
    }
    let status = child.wait()?;
    ensure!(status.success(), "the load generator ended with {status}");
    Ok(rows)
}

/// Returns the name of the machine that is measured.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("", |(_, model)| model.trim());
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let node = version("node")
        .map(|version| format!(", Node.js {version}"))
        .unwrap_or_default();
    format!("{cores} cores of {model}{node}")
}
