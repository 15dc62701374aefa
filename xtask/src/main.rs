//! The project's tasks. `cargo xtask test` runs every check, `cargo xtask list` names them.

mod args;
mod bench;
mod command;
mod dev;
mod layers;
mod prose;
mod report;
mod setup;
mod soak;
mod steps;
mod workspace;

use std::{process::ExitCode, time::Instant};

use anyhow::{Result, ensure};

use crate::{
    args::Task,
    report::{Outcome, Row},
    soak::{SOAKS, Soak},
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
        Ok(Task::Soak(options)) => soak(&options),
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

/// Runs the program beside the runtime that does it.
fn drain(arguments: &[String]) -> Result<()> {
    let mut cargo = command::command("cargo", &["run", "--quiet"]);
    cargo.args(["-p", "channel-runtime", "--example", "drain", "--"]);
    cargo.args(arguments);
    command::run(cargo)
}

/// Runs all steps in order, whichever fail, and prints a summary.
fn test(only: Option<&str>) -> Result<()> {
    let workspace = Workspace::load()?;
    let chosen = |step: &&Step| only.is_none_or(|only| only == step.name);
    conclude(&run(STEPS.iter().filter(chosen), &workspace))
}

/// Runs the same with the long checks.
fn soak(options: &soak::Options) -> Result<()> {
    let workspace = Workspace::load()?;
    let chosen = |soak: &&Soak| options.only.as_ref().is_none_or(|only| only == soak.name);
    let soaks = SOAKS.iter().filter(chosen);
    let rows: Vec<_> = soaks
        .map(|soak| {
            let run = || (soak.run)(&workspace, options);
            row("soak", soak.name, soak.what, run)
        })
        .collect();
    conclude(&rows)
}

fn conclude(rows: &[Row]) -> Result<()> {
    print!("\n━━━ summary ━━━\n\n{}", report::table(rows));
    let failed: Vec<_> = rows
        .iter()
        .filter(|row| row.has_failed())
        .map(|row| row.step)
        .collect();
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

fn run<'a>(steps: impl Iterator<Item = &'a Step>, workspace: &Workspace) -> Vec<Row> {
    let run = |step: &Step| row("test", step.name, step.what, || (step.run)(workspace));
    steps.map(run).collect()
}

fn row(
    task: &'static str,
    step: &'static str,
    what: &str,
    run: impl FnOnce() -> Result<Outcome>,
) -> Row {
    println!("\n━━━ {step} ━━━ {what}\n");
    let started = Instant::now();
    let outcome = run().unwrap_or_else(|error| Outcome::failed(format!("{error:#}")));
    Row {
        task,
        step,
        took: started.elapsed(),
        outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{command::check, report::Counts};

    #[test]
    fn a_step_that_fails_or_cannot_begin_holds_up_no_other() {
        let step = |name, run| Step {
            name,
            what: "",
            run,
        };
        let steps = [
            step("broken", |_| Ok(check(command::command("false", &[])))),
            step("missing", |_| anyhow::bail!("there is no Chromium")),
            step("tested", |_| {
                let line = "test result: ok. 3 passed; 0 failed";
                Ok(check(command::command("echo", &[line])))
            }),
        ];
        let workspace = Workspace::load().unwrap();
        let rows = run(steps.iter(), &workspace);
        let failed: Vec<_> = rows.iter().map(Row::has_failed).collect();
        assert_eq!(failed, [true, true, false]);
        assert_eq!(rows[1].outcome.failures[0].what, "there is no Chromium");
        let counts = Counts {
            passed: 3,
            ..Counts::default()
        };
        assert_eq!(rows[2].outcome.counts, counts);
    }
}
