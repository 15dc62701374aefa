//! The project's chores. `cargo xtask test` runs every check there is, `cargo xtask list` names
//! them.

mod args;
mod bench;
mod command;
mod dev;
mod report;
mod setup;
mod steps;
mod workspace;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

use crate::{
    args::Task,
    report::{Counts, Row},
    steps::{STEPS, Step},
    workspace::Workspace,
};

fn main() -> ExitCode {
    let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
    let done = match args::parse(std::env::args().skip(1), &names) {
        Ok(Task::Help) => {
            println!("{}", args::USAGE);
            Ok(())
        }
        Ok(Task::List) => {
            STEPS
                .iter()
                .for_each(|step| println!("{:<10}{}", step.name, step.what));
            Ok(())
        }
        Ok(Task::Test { only }) => test(only.as_deref()),
        Ok(Task::Dev { package }) => {
            Workspace::load().and_then(|workspace| dev::dev(&workspace, &package))
        }
        Ok(Task::Bench(options)) => {
            Workspace::load().and_then(|workspace| bench::bench(&workspace, &options))
        }
        Ok(Task::Drain { arguments }) => drain(&arguments),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The program beside the runtime that does it.
fn drain(arguments: &[String]) -> Result<()> {
    let mut cargo = command::command("cargo", &["run", "--quiet"]);
    cargo.args(["-p", "channel-runtime", "--example", "drain", "--"]);
    cargo.args(arguments);
    command::run(cargo).map(drop)
}

/// Runs the steps in order, up to the first that fails, and sums up.
fn test(only: Option<&str>) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut rows = Vec::new();
    let mut failed = None;
    for step in STEPS
        .iter()
        .filter(|step| only.is_none_or(|only| only == step.name))
    {
        println!("\n━━━ {} ━━━ {}\n", step.name, step.what);
        let (took, outcome) = run(step, &workspace);
        rows.push(Row {
            step: step.name,
            took,
            counts: outcome.as_ref().ok().copied(),
        });
        if let Err(error) = outcome {
            failed = Some(anyhow!(
                "step `{0}` failed: {error:#}\nto run only this step again: cargo xtask test --only {0}",
                step.name
            ));
            break;
        }
    }
    print!("\n━━━ summary ━━━\n\n{}", report::table(&rows));
    failed.map_or(Ok(()), Err)
}

fn run(step: &Step, workspace: &Workspace) -> (Duration, Result<Counts>) {
    let started = Instant::now();
    let outcome = (step.run)(workspace);
    (started.elapsed(), outcome)
}
