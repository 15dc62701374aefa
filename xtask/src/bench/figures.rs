//! Rows of the load generator, and the medians of several runs.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::cases::{SERVERS, Unit, floor};

/// The figures of a case of a server; see `benchmarks/src/figures.rs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) server: String,
    pub(crate) case: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p999_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kib_each: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rss_kib: Option<f64>,
}

impl Row {
    pub(crate) fn read(line: &str) -> Result<Self> {
        serde_json::from_str(line).with_context(|| format!("the load generator said {line:?}"))
    }

    /// Returns the figure that counts.
    pub(crate) fn cost(&self, unit: Unit) -> Option<f64> {
        match unit {
            Unit::Cpu => self.cpu_us,
            Unit::Memory => self.kib_each,
            Unit::Compile => None,
        }
    }
}

/// The run of a case's figures. Only figures of one run can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The start, in seconds since 1970.
    pub(crate) began: u64,
    /// The machine.
    pub(crate) on: String,
    /// The number of measurements of the case.
    pub(crate) times: usize,
}

impl Run {
    pub(crate) fn often(&self) -> String {
        match self.times {
            1 => "one run".to_owned(),
            times => format!("medians of {times} runs"),
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.on, self.often())
    }
}

/// The medians, a row for each case and server.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// The run of each case.
    runs: BTreeMap<String, Run>,
    rows: Vec<Row>,
}

impl Figures {
    /// Returns the medians. A run that failed counts too, since it shows its server's quality.
    pub(crate) fn median(measured: &[Row], run: &Run) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        for row in measured {
            if rows.iter().any(|known| same(known, row)) {
                continue;
            }
            let runs: Vec<_> = measured.iter().filter(|other| same(other, row)).collect();
            let middle = |of: fn(&Row) -> Option<f64>| median(runs.iter().copied().filter_map(of));
            rows.push(Row {
                server: row.server.clone(),
                case: row.case.clone(),
                error: runs.iter().find_map(|run| run.error.clone()),
                cpu_us: middle(|run| run.cpu_us),
                per_second: middle(|run| run.per_second),
                p50_ms: middle(|run| run.p50_ms),
                p99_ms: middle(|run| run.p99_ms),
                p999_ms: middle(|run| run.p999_ms),
                kib_each: middle(|run| run.kib_each),
                rss_kib: middle(|run| run.rss_kib),
            });
        }
        let place = |row: &Row| SERVERS.iter().position(|server| *server == row.server);
        rows.sort_by_key(|row| place(row).unwrap_or(SERVERS.len()));
        let runs = rows.iter().map(|row| {
            let times = measured.iter().filter(|other| same(other, row)).count();
            let run = run.clone();
            (row.case.clone(), Run { times, ..run })
        });
        Figures {
            runs: runs.collect(),
            rows,
        }
    }

    /// Replaces older figures with newer ones: for a case those of all servers, so that they stay
    /// those of one run.
    pub(crate) fn replace(&mut self, newer: Figures) {
        self.rows.retain(|row| !newer.runs.contains_key(&row.case));
        self.runs.extend(newer.runs);
        self.rows.extend(newer.rows);
    }

    /// Returns the run that most cases belong to, the newest of several, from its most measured
    /// case.
    pub(crate) fn main_run(&self) -> Option<&Run> {
        let began = |run: &Run| {
            self.runs
                .values()
                .filter(|other| other.began == run.began)
                .count()
        };
        self.runs
            .values()
            .max_by_key(|run| (began(run), run.began, run.times))
    }

    /// Returns the run of a case.
    pub(crate) fn run(&self, case: &str) -> Option<&Run> {
        self.runs.get(case)
    }

    /// Returns a case's rows, in the order of the servers.
    pub(crate) fn of<'a>(&'a self, case: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.case == case)
    }

    pub(crate) fn get(&self, case: &str, server: &str) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.case == case && row.server == server)
    }

    /// Returns the cost, for a server, of a delivery, an answer or a join, or of a socket or
    /// channel; `None` if it was not measured or has failed.
    pub(crate) fn cost(&self, case: &str, server: &str, unit: Unit) -> Option<f64> {
        let row = self.get(case, server).filter(|row| row.error.is_none());
        row?.cost(unit)
    }

    /// Returns the cost of the floor.
    pub(crate) fn floor(&self, case: &str, unit: Unit) -> Option<f64> {
        self.cost(case, floor(case), unit)
    }

    pub(crate) fn has(&self, server: &str) -> bool {
        self.rows.iter().any(|row| row.server == server)
    }
}

fn same(one: &Row, other: &Row) -> bool {
    (&one.server, &one.case) == (&other.server, &other.case)
}

/// Returns the middle value, or the mean of the two in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(server: &str, cpu_us: f64) -> Row {
        let json = format!(r#"{{"server": "{server}", "case": "echo", "cpu_us": {cpu_us}}}"#);
        Row::read(&json).unwrap()
    }

    #[test]
    fn the_median_is_the_middle_of_the_runs() {
        assert_eq!(median([3.0, 1.0, 9.0].into_iter()), Some(3.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn each_server_has_one_row_in_the_order_of_the_servers() {
        let measured = [
            row("ours", 3.0),
            row("floor", 1.0),
            row("ours", 4.0),
            row("ours", 8.0),
        ];
        let figures = Figures::median(&measured, &Run::default());
        let rows: Vec<_> = figures.of("echo").collect();
        assert_eq!(
            rows.iter().map(|row| &row.server).collect::<Vec<_>>(),
            ["floor", "ours"]
        );
        assert_eq!(rows[1].cpu_us, Some(4.0));
        assert_eq!(rows[1].kib_each, None);
        assert_eq!(figures.floor("echo", Unit::Cpu), Some(1.0));
    }

    #[test]
    fn a_server_that_failed_once_has_no_cost() {
        let failed = Row {
            error: Some("messages were lost".to_owned()),
            cpu_us: None,
            ..row("ws", 0.0)
        };
        let figures = Figures::median(&[row("ws", 2.0), failed], &Run::default());
        assert_eq!(figures.cost("echo", "ws", Unit::Cpu), None);
        assert!(figures.get("echo", "ws").unwrap().error.is_some());
    }

    #[test]
    fn a_case_that_is_measured_again_replaces_its_rows_and_no_others() {
        let run = |began| Run {
            began,
            times: 1,
            ..Run::default()
        };
        let idle = r#"{"server": "ours", "case": "idle", "kib_each": 3}"#;
        let idle = Row::read(idle).unwrap();
        let first = [row("floor", 1.0), row("ours", 3.0), row("ws", 9.0), idle];
        let mut figures = Figures::median(&first, &run(1));
        figures.replace(Figures::median(
            &[row("floor", 1.0), row("ours", 2.0)],
            &run(2),
        ));
        assert_eq!(figures.cost("echo", "ours", Unit::Cpu), Some(2.0));
        assert_eq!(figures.cost("echo", "ws", Unit::Cpu), None);
        assert_eq!(figures.cost("idle", "ours", Unit::Memory), Some(3.0));
        assert_eq!(figures.run("echo"), Some(&run(2)));
        assert_eq!(figures.run("idle"), Some(&run(1)));
    }

    #[test]
    fn what_is_no_row_is_an_error_that_shows_it() {
        let error = Row::read("thread main panicked").unwrap_err().to_string();
        assert!(error.contains("thread main"), "{error}");
    }
}
