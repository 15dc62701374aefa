//! The figures of one case of one server.

use std::{fmt, time::Duration};

use serde::Serialize;

/// The measurement of a case, before it is a [`Row`].
#[derive(Debug, Default)]
pub struct Measured {
    /// The number of deliveries, answers or joins.
    pub count: usize,
    /// The server's CPU time for them, if it is known.
    pub cpu: Option<Duration>,
    /// The part of it in the kernel.
    pub system: Option<Duration>,
    /// The time that all of them took.
    pub took: Duration,
    /// The time that each took, or each round of them.
    pub latencies: Vec<Duration>,
    /// KiB of memory that a socket or channel takes, in the cases that measure it.
    pub kib_each: Option<f64>,
}

/// One measured case of one server.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The server's name.
    pub server: String,
    /// The case's name.
    pub case: String,
    /// The server's CPU µs for each delivery, answer or join.
    pub cpu_us: Option<f64>,
    /// The part of it in the kernel.
    pub system_us: Option<f64>,
    /// The number of them per second.
    pub per_second: Option<f64>,
    /// The median latency, in ms.
    pub p50_ms: Option<f64>,
    /// The latency that one in a hundred exceeds, in ms.
    pub p99_ms: Option<f64>,
    /// The latency that one in a thousand exceeds, in ms.
    pub p999_ms: Option<f64>,
    /// KiB of memory that a socket or channel takes, in the cases that measure it.
    pub kib_each: Option<f64>,
    /// KiB of memory that the server had at the end.
    pub rss_kib: Option<f64>,
}

impl Row {
    /// Works out the figures.
    pub fn new(server: &str, case: &str, measured: Measured, rss_kib: Option<f64>) -> Self {
        let Measured {
            count,
            cpu,
            system,
            took,
            mut latencies,
            kib_each,
        } = measured;
        latencies.sort_unstable();
        let at = |part| percentile(&latencies, part).map(|took| took.as_secs_f64() * 1e3);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
        Row {
            server: server.to_owned(),
            case: case.to_owned(),
            cpu_us: cpu.map(each),
            system_us: system.map(each),
            per_second: (!took.is_zero()).then(|| count as f64 / took.as_secs_f64()),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            kib_each,
            rss_kib,
        }
    }

    /// The head of the table whose rows are [`Row`]s.
    pub const HEAD: &str = "\
| server | case | CPU µs each | in the kernel | per second | p50 ms | p99 ms | p99.9 ms | KiB each | RSS KiB |
|---|---|---|---|---|---|---|---|---|---|";
}

/// Returns the value below which `part` of the sorted ones are.
fn percentile(sorted: &[Duration], part: f64) -> Option<Duration> {
    let index = (sorted.len() as f64 * part) as usize;
    sorted
        .get(index.min(sorted.len().saturating_sub(1)))
        .copied()
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | {} |", self.server, self.case)?;
        for (figure, digits) in [
            (self.cpu_us, 2),
            (self.system_us, 2),
            (self.per_second, 0),
            (self.p50_ms, 2),
            (self.p99_ms, 2),
            (self.p999_ms, 2),
            (self.kib_each, 1),
            (self.rss_kib, 0),
        ] {
            match figure {
                Some(figure) => write!(f, " {figure:.digits$} |")?,
                None => write!(f, " |")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let sorted: Vec<_> = (1..=1000).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 0.5), Some(Duration::from_millis(501)));
        assert_eq!(
            percentile(&sorted, 0.999),
            Some(Duration::from_millis(1000))
        );
        assert_eq!(
            percentile(&sorted[..1], 0.99),
            Some(Duration::from_millis(1))
        );
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn a_figure_that_is_not_known_is_an_empty_cell() {
        let measured = Measured {
            count: 10,
            took: Duration::from_secs(2),
            ..Measured::default()
        };
        let row = Row::new("phoenix", "echo", measured, None).to_string();
        assert_eq!(row, "| phoenix | echo | | | 5 | | | | | |");
        assert_eq!(
            row.matches('|').count(),
            Row::HEAD.lines().next().unwrap().matches('|').count()
        );
    }
}
