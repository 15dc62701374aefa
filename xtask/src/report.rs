//! What the runners counted, and the table at the end.

use std::{iter::Sum, ops::Add, time::Duration};

/// How many tests a step ran; all zero for a check that is no test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) ignored: usize,
}

impl Counts {
    /// What one line of output tells: `test result: …` of cargo's runner, `ℹ pass 3` of Node's.
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
            "failed" | "fail" => self.failed = number,
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

/// One step that has run; no counts when it failed.
pub(crate) struct Row {
    pub(crate) step: &'static str,
    pub(crate) took: Duration,
    pub(crate) counts: Option<Counts>,
}

/// The table of all steps, and when none failed and any test ran a last line in the words of cargo's own runner.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for Row { step, took, counts } in rows {
        let outcome = match counts {
            None => "FAILED".to_owned(),
            Some(counts) if counts.any() => format!(
                "ok      {} passed, {} ignored",
                counts.passed, counts.ignored
            ),
            Some(_) => "ok".to_owned(),
        };
        text += &format!("{step:<10}{:>8}   {outcome}\n", duration(*took));
    }
    let total: Option<Counts> = rows.iter().map(|row| row.counts).sum();
    if let Some(total) = total.filter(|total| total.any()) {
        let took: Duration = rows.iter().map(|row| row.took).sum();
        let Counts {
            passed,
            failed,
            ignored,
        } = total;
        text += &format!(
            "\ntest result: ok. {passed} passed; {failed} failed; {ignored} ignored; \
             0 measured; 0 filtered out; finished in {:.2}s\n",
            took.as_secs_f64()
        );
    }
    text
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

    #[test]
    fn the_table_ends_with_the_total() {
        let row = |step, counts| Row {
            step,
            took: Duration::from_millis(61_500),
            counts,
        };
        let rows = [
            row("fmt", Some(Counts::default())),
            row("test", Some(counts(5, 0, 1))),
            row("node", Some(counts(2, 0, 0))),
        ];
        let table = table(&rows);
        assert!(
            table.contains("1m 01s   ok      5 passed, 1 ignored"),
            "{table}"
        );
        let last = table.lines().last().unwrap();
        assert!(
            last.starts_with("test result: ok. 7 passed; 0 failed; 1 ignored;"),
            "{last}"
        );
    }

    #[test]
    fn a_step_that_failed_is_seen() {
        let rows = [Row {
            step: "fmt",
            took: Duration::from_millis(1234),
            counts: None,
        }];
        let table = table(&rows);
        assert!(table.contains("1.2s   FAILED"), "{table}");
        assert!(!table.contains("test result"), "{table}");
    }
}
