//! The results of the runners, and the table at the end.

use std::{iter::Sum, ops::Add, time::Duration};

/// The outcome of a command, or of a whole step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    pub(crate) failures: Vec<Failure>,
}

impl Outcome {
    /// Returns the outcome of a step that could not run, with the reason.
    pub(crate) fn failed(what: String) -> Self {
        let failure = Failure {
            what,
            tests: Vec::new(),
        };
        Outcome {
            counts: Counts::default(),
            failures: vec![failure],
        }
    }
}

impl Add for Outcome {
    type Output = Outcome;

    fn add(mut self, other: Outcome) -> Outcome {
        self.counts = self.counts + other.counts;
        self.failures.extend(other.failures);
        self
    }
}

impl Sum for Outcome {
    fn sum<I: Iterator<Item = Outcome>>(outcomes: I) -> Outcome {
        outcomes.fold(Outcome::default(), Add::add)
    }
}

/// A command that failed, with its failed tests, if it has any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) what: String,
    pub(crate) tests: Vec<String>,
}

/// Reads the output of a runner, line by line.
#[derive(Default)]
pub(crate) struct Listener {
    pub(crate) counts: Counts,
    /// The tests that failed.
    pub(crate) tests: Vec<String>,
    /// The location of the test whose name is in the next line.
    at: Option<String>,
}

impl Listener {
    pub(crate) fn hear(&mut self, line: &str) {
        self.counts = self.counts + Counts::of_line(line);
        let at = self.at.take();
        if let Some(place) = line.strip_prefix("test at ") {
            self.at = Some(place.to_owned());
        } else if let (Some(place), Some(name)) = (at, line.strip_prefix("✖ ")) {
            let name = name.rsplit_once(" (").map_or(name, |(name, _)| name);
            self.tests.push(format!("{place} {name}"));
        } else if let Some(test) = line.strip_prefix("test ")
            && let Some(name) = test.strip_suffix(" ... FAILED")
        {
            self.tests.push(name.to_owned());
        }
    }
}

/// The number of tests that a step ran; all zero for a check that is no test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) ignored: usize,
}

impl Counts {
    /// Reads the counts in one line of output: `test result: …` of cargo's runner, `ℹ pass 3` of
    /// Node's.
    pub(crate) fn of_line(line: &str) -> Self {
        let mut counts = Counts::default();
        if let Some(result) = line.strip_prefix("test result: ") {
            for part in result.split([';', '.']).map(str::trim) {
                counts.take(part.split_once(' ').map(|(number, what)| (what, number)));
            }
        } else if let Some(summary) = line.strip_prefix("ℹ ") {
            counts.take(summary.split_once(' '));
        }
        counts
    }

    fn take(&mut self, part: Option<(&str, &str)>) {
        let Some((what, Ok(number))) = part.map(|(what, number)| (what, number.parse())) else {
            return;
        };
        match what {
            "passed" | "pass" => self.passed = number,
            // Node's word for tests that a deadline ended.
            "failed" | "fail" | "cancelled" => self.failed = number,
            "ignored" | "skipped" => self.ignored = number,
            _ => {}
        }
    }

    fn any(self) -> bool {
        self != Counts::default()
    }
}

impl Add for Counts {
    type Output = Counts;

    fn add(self, other: Counts) -> Counts {
        Counts {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(counts: I) -> Counts {
        counts.fold(Counts::default(), Add::add)
    }
}

/// One step that has run.
pub(crate) struct Row {
    /// The task that it is a step of.
    pub(crate) task: &'static str,
    pub(crate) step: &'static str,
    pub(crate) took: Duration,
    pub(crate) outcome: Outcome,
}

impl Row {
    pub(crate) fn has_failed(&self) -> bool {
        !self.outcome.failures.is_empty()
    }
}

/// Returns the table of all steps, followed by the failures and, if any test ran, a last line in
/// the format of cargo's own runner.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let Counts {
            passed,
            failed,
            ignored,
        } = row.outcome.counts;
        let word = if row.has_failed() { "FAILED" } else { "ok" };
        let (step, took) = (row.step, duration(row.took));
        text += &match (row.outcome.counts.any(), failed) {
            (false, _) => format!("{step:<10}{took:>8}   {word}\n"),
            (true, 0) => {
                format!("{step:<10}{took:>8}   {word:<8}{passed} passed, {ignored} ignored\n")
            }
            (true, _) => format!(
                "{step:<10}{took:>8}   {word:<8}{failed} failed, {passed} passed, {ignored} ignored\n"
            ),
        };
    }
    text + &failures(rows) + &total(rows)
}

fn failures(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows.iter().filter(|row| row.has_failed()) {
        text += &format!("\n{}: cargo xtask {} --only {0}\n", row.step, row.task);
        for Failure { what, tests } in &row.outcome.failures {
            text += &format!("  {what}\n");
            text.extend(tests.iter().map(|test| format!("    {test}\n")));
        }
    }
    text
}

fn total(rows: &[Row]) -> String {
    let counts: Counts = rows.iter().map(|row| row.outcome.counts).sum();
    if !counts.any() {
        return String::new();
    }
    let took: Duration = rows.iter().map(|row| row.took).sum();
    let Counts {
        passed,
        failed,
        ignored,
    } = counts;
    let word = if rows.iter().any(Row::has_failed) {
        "FAILED"
    } else {
        "ok"
    };
    format!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {ignored} ignored; \
         0 measured; 0 filtered out; finished in {:.2}s\n",
        took.as_secs_f64()
    )
}

fn duration(took: Duration) -> String {
    match took.as_secs() {
        seconds @ 60.. => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{:.1}s", took.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: usize, failed: usize, ignored: usize) -> Counts {
        Counts {
            passed,
            failed,
            ignored,
        }
    }

    #[test]
    fn cargos_result_is_counted() {
        let line = "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; \
                    0 filtered out; finished in 0.05s";
        assert_eq!(Counts::of_line(line), counts(12, 0, 3));
        let line = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured";
        assert_eq!(Counts::of_line(line), counts(1, 2, 0));
    }

    #[test]
    fn nodes_result_is_counted_over_its_lines() {
        let lines = [
            "ℹ tests 9",
            "ℹ pass 7",
            "ℹ fail 1",
            "ℹ skipped 1",
            "ℹ duration_ms 81.5",
        ];
        let sum: Counts = lines.into_iter().map(Counts::of_line).sum();
        assert_eq!(sum, counts(7, 1, 1));
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in [
            "",
            "test a ... ok",
            "3 passed",
            "ℹ",
            "   Compiling x v0.1.0",
        ] {
            assert_eq!(Counts::of_line(line), Counts::default(), "{line}");
        }
    }

    fn heard(lines: &[&str]) -> Listener {
        let mut listener = Listener::default();
        lines.iter().for_each(|line| listener.hear(line));
        listener
    }

    #[test]
    fn cargos_tests_that_failed_are_named() {
        let listener = heard(&[
            "running 3 tests",
            "test engine::a_pause_is_survived ... ok",
            "test engine::a_restart_is_survived ... FAILED",
            "test src/token.rs - token::Token (line 12) ... FAILED",
            "---- engine::a_restart_is_survived stdout ----",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured",
        ]);
        let expected = [
            "engine::a_restart_is_survived",
            "src/token.rs - token::Token (line 12)",
        ];
        assert_eq!(listener.tests, expected);
        assert_eq!(listener.counts, counts(1, 2, 0));
    }

    #[test]
    fn nodes_tests_that_failed_are_named_once_with_their_place() {
        let listener = heard(&[
            "▶ what arrives",
            "  ✖ several at once (with one) (12.5ms)",
            "✖ what arrives (13ms)",
            "ℹ pass 4",
            "ℹ fail 1",
            "ℹ cancelled 1",
            "",
            "✖ failing tests:",
            "",
            "test at uploads/live-view.test.mjs:60:3",
            "✖ several at once (with one) (12.5ms)",
            "  'not within 30000 ms'",
            "test at browser/chat.test.mjs:1:1",
            "✖ browser/chat.test.mjs (120214.8ms)",
        ]);
        let expected = [
            "uploads/live-view.test.mjs:60:3 several at once (with one)",
            "browser/chat.test.mjs:1:1 browser/chat.test.mjs",
        ];
        assert_eq!(listener.tests, expected);
        assert_eq!(listener.counts, counts(4, 2, 0));
    }

    fn row(step: &'static str, counts: Counts, failures: &[(&str, &[&str])]) -> Row {
        let failures = failures.iter().map(|(what, tests)| Failure {
            what: (*what).to_owned(),
            tests: tests.iter().copied().map(str::to_owned).collect(),
        });
        Row {
            task: "test",
            step,
            took: Duration::from_millis(61_500),
            outcome: Outcome {
                counts,
                failures: failures.collect(),
            },
        }
    }

    #[test]
    fn the_table_ends_with_the_total() {
        let rows = [
            row("fmt", Counts::default(), &[]),
            row("test", counts(5, 0, 1), &[]),
            row("node", counts(2, 0, 0), &[]),
        ];
        let expected = "\
fmt         1m 01s   ok
test        1m 01s   ok      5 passed, 1 ignored
node        1m 01s   ok      2 passed, 0 ignored

test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 184.50s
";
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn all_that_failed_is_listed_below_the_table_each_with_its_step() {
        let rows = [
            row("fmt", Counts::default(), &[("`cargo fmt` ended", &[])]),
            row("docs", Counts::default(), &[]),
            row(
                "node",
                counts(5, 2, 1),
                &[("`one` ended", &["a", "b"]), ("`two` ended", &[])],
            ),
        ];
        let expected = "\
fmt         1m 01s   FAILED
docs        1m 01s   ok
node        1m 01s   FAILED  2 failed, 5 passed, 1 ignored

fmt: cargo xtask test --only fmt
  `cargo fmt` ended

node: cargo xtask test --only node
  `one` ended
    a
    b
  `two` ended

test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 184.50s
";
        assert_eq!(table(&rows), expected);
    }
}
