//! The long checks: many cases of random tests, and many rounds of tests that may race.

use std::{
    hint,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    command::{check, command, run},
    report::Outcome,
    setup,
    steps::clients,
    workspace::Workspace,
};

pub(crate) struct Soak {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(&Workspace, &Options) -> Result<Outcome>,
}

pub(crate) const SOAKS: &[Soak] = &[
    Soak {
        name: "properties",
        what: "the property tests and the simulation of presences, optimized and with many cases",
        run: properties,
    },
    Soak {
        name: "races",
        what: "what runs over real connections, often, on a machine that is busy otherwise",
        run: races,
    },
];

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The number of cases of each property.
    cases: u32,
    /// The number of rounds of the tests that may race.
    rounds: u32,
    /// The only check to run, if set.
    pub(crate) only: Option<String>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Options {
            cases: 20_000,
            rounds: 20,
            only: None,
        };
        for pair in words.chunks(2) {
            let word = pair[0];
            let value = pair.get(1);
            let value = value.with_context(|| format!("`{word}` needs a value"))?;
            let number = || {
                let number = value.parse().ok().filter(|number| *number > 0);
                number.with_context(|| format!("`{word}` takes a number from 1 on"))
            };
            match word {
                "--cases" => options.cases = number()?,
                "--rounds" => options.rounds = number()?,
                "--only" => {
                    let names: Vec<_> = SOAKS.iter().map(|soak| soak.name).collect();
                    ensure!(
                        names.contains(value),
                        "there is no soak `{value}`; there are: {}",
                        names.join(", ")
                    );
                    options.only = Some((*value).to_owned());
                }
                other => bail!(
                    "`soak` does not know `{other}`, but --cases N, --rounds N and --only NAME"
                ),
            }
        }
        Ok(options)
    }
}

/// Returns `cargo test` of a package, with further arguments.
fn cargo_test(package: &str, words: &[&str]) -> Command {
    command("cargo", &[&["test", "--package", package], words].concat())
}

fn properties(_: &Workspace, options: &Options) -> Result<Outcome> {
    let many = |package: &str, words: &[&str]| {
        let mut tests = cargo_test(package, &[&["--release"], words].concat());
        tests.env("PROPTEST_CASES", options.cases.to_string());
        tests.env("PRESENCE_SEEDS", options.cases.to_string());
        check(tests)
    };
    const RUNTIME: [&str; 3] = ["--all-features", "--lib", "--test=it"];
    Ok(many("channel-runtime", &RUNTIME)
        + many("channel-sync", &["--lib"])
        + many("upload-tests", &["--tests"]))
}

/// Runs tests over real connections only: while the clock stands still, every run is the same.
fn races(workspace: &Workspace, options: &Options) -> Result<Outcome> {
    const RUNTIME: [&str; 2] = ["--all-features", "--test=it"];
    const SYNC: [&str; 3] = ["--features=postgres", "--test=recordings", "faults::"];
    setup::engines()?;
    setup::postgres()?;
    setup::node_modules(workspace)?;
    run(cargo_test(
        "channel-runtime",
        &[&RUNTIME[..], &["--no-run"]].concat(),
    ))?;
    run(cargo_test("cluster-tests", &["--tests", "--no-run"]))?;
    run(command("cargo", &["build", "-p", "reference"]))?;
    let _busy = Busy::begin();
    let round = |_| {
        let mut pages = clients(workspace, "test:uploads");
        pages.env("REFERENCE_BIN", workspace.program("reference"));
        let mut sync = cargo_test("channel-sync", &SYNC);
        sync.env("SYNC_ROUNDS", "10");
        check(cargo_test("channel-runtime", &RUNTIME))
            + check(sync)
            + check(cargo_test("cluster-tests", &["--tests"]))
            + check(pages)
    };
    Ok((0..options.rounds).map(round).sum())
}

/// Busy threads, one more than there are cores, which spin until this is dropped.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn begin() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..=cores {
            let over = over.clone();
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
            });
        }
        Busy(over)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options> {
        Options::parse(&Vec::from_iter(line.split_whitespace()))
    }

    #[test]
    fn options_are_read() {
        let given = read("--cases 1000000 --rounds 3 --only races").unwrap();
        let expected = Options {
            cases: 1_000_000,
            rounds: 3,
            only: Some("races".to_owned()),
        };
        assert_eq!(given, expected);
        assert_eq!(read("").unwrap().only, None);
    }

    #[test]
    fn an_option_that_is_wrong_is_named() {
        for (line, said) in [
            ("--cases", "`--cases` needs a value"),
            ("--rounds 0", "`--rounds` takes a number from 1 on"),
            ("--only nothing", "there are: properties, races"),
            ("--case 3", "does not know `--case`"),
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
