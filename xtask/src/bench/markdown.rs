//! The tables: a short one for the README, and a full one.

use anyhow::{Context, Result};

use super::{
    cases::{CASES, Case, IN_NODE, SERVERS, Unit},
    compile_time::CompileTime,
    figures::{Figures, Row},
};

/// The growth of costs: the ratios of two cases each.
const GROWTH: &[(&str, &str, &str)] = &[
    (
        "fan-out to 10,000 ÷ to 100",
        "fanout-1-of-10000",
        "fanout-1-of-100",
    ),
    ("10,000 topics ÷ 100", "topics-10000", "topics-100"),
    ("intercepted ÷ not", "intercept", "fanout-1"),
];

/// The cases of the short table.
const SHORT: &[&str] = &["fanout-1", "fanout-16", "rate-50", "echo", "storm", "idle"];

/// The servers of the short table besides ours and the floor.
const PEERS: &[&str] = &[
    "by-hand",
    "socketioxide",
    "trillium-channels",
    "socket.io",
    "ws",
];

const START: &str = "<!-- cargo xtask bench writes from here … -->";
const END: &str = "<!-- … to here -->";

/// Puts `text` between the markers of a page.
pub(crate) fn between_markers(page: &str, text: &str) -> Result<String> {
    let (head, rest) = page.split_once(START).context("the page has no marker")?;
    let (_, tail) = rest
        .split_once(END)
        .context("the page has no second marker")?;
    Ok(format!("{head}{START}\n\n{}\n\n{END}{tail}", text.trim()))
}

/// Returns the machine of the figures, and the cases of other runs than the main one.
pub(crate) fn runs(figures: &Figures) -> String {
    let Some(main) = figures.main_run() else {
        return String::new();
    };
    let apart = CASES.iter().filter_map(|case| {
        let run = figures
            .run(case.name)
            .filter(|run| run.began != main.began)?;
        let how = match run.on == main.on {
            true => run.often(),
            false => run.to_string(),
        };
        Some(format!("`{}` ({how})", case.name))
    });
    let apart: Vec<_> = apart.collect();
    match apart.is_empty() {
        true => format!("{main}."),
        false => format!("{main}. Measured apart: {}.", apart.join(", ")),
    }
}

/// Returns the cost of each case here, and its multiple for the other servers.
pub(crate) fn short(figures: &Figures) -> String {
    let mut text = format!("| each | here | ÷ floor | {} |\n", PEERS.join(" | "));
    text += &format!("|---|---|---|{}\n", "---|".repeat(PEERS.len()));
    for name in SHORT {
        let case = CASES.iter().find(|case| case.name == *name);
        text += &case.and_then(|case| row(figures, case)).unwrap_or_default();
    }
    text
}

/// Returns a case's row of the short table, if it was measured.
fn row(figures: &Figures, case: &Case) -> Option<String> {
    let ours = figures.cost(case.name, "ours", case.unit)?;
    let floor = figures.floor(case.name, case.unit);
    // The floor uses next to no memory.
    let floor = floor.filter(|_| case.unit == Unit::Cpu);
    let over_floor = plain(floor.map(|floor| ours / floor));
    let mut cells = vec![case.title.to_owned(), amount(ours, case.unit), over_floor];
    cells.extend(PEERS.iter().map(|peer| {
        let Some(row) = figures.get(case.name, peer) else {
            return "not measured".to_owned();
        };
        match (&row.error, row.cost(case.unit)) {
            (None, Some(cost)) => format!("{:.1} ×", cost / ours),
            (error, _) => reason(error.as_deref().unwrap_or_default()).to_owned(),
        }
    }));
    Some(format!("| {} |\n", cells.join(" | ")))
}

/// Returns every figure of every case.
pub(crate) fn full(figures: &Figures, compile_time: Option<&CompileTime>) -> String {
    let mut text = growth(figures);
    for case in CASES {
        if figures.of(case.name).next().is_some() {
            text += &section(figures, case);
        }
    }
    if let Some(compile_time) = compile_time {
        text += &format!("## compile-time\n\n{}", compile_time.table());
    }
    text
}

/// Returns the ratios by which the cost of a delivery grows with each quantity.
fn growth(figures: &Figures) -> String {
    let mut rows = String::new();
    for server in SERVERS {
        let ratio = |(_, of, to): &(&str, &str, &str)| {
            let cost = |case| figures.cost(case, server, Unit::Cpu);
            // Figures of two runs cannot be compared.
            let began = |case| figures.run(case).map(|run| run.began);
            (began(of) == began(to)).then_some(cost(of)? / cost(to)?)
        };
        let ratios: Vec<_> = GROWTH.iter().map(ratio).collect();
        if ratios.iter().any(Option::is_some) {
            let cells: Vec<_> = ratios.into_iter().map(plain).collect();
            rows += &format!("| {server} | {} |\n", cells.join(" | "));
        }
    }
    if rows.is_empty() {
        return rows;
    }
    let titles: Vec<_> = GROWTH.iter().map(|(title, ..)| *title).collect();
    let line = "---|".repeat(titles.len());
    let titles = titles.join(" | ");
    format!("## Growth\n\nCPU time of a delivery.\n\n| server | {titles} |\n|---|{line}\n{rows}\n")
}

fn section(figures: &Figures, case: &Case) -> String {
    let unit = match case.unit {
        Unit::Cpu => "CPU µs",
        Unit::Memory => "KiB",
        Unit::Compile => "ms",
    };
    let mut text = format!(
        "## {}\n\nEach {}.\n\n\
         | server | {unit} | ÷ floor | ÷ ours | a second | p50 ms | p99 ms | p99.9 ms | RSS KiB |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        case.name, case.title
    );
    let ours = figures.cost(case.name, "ours", case.unit);
    let floor = figures.floor(case.name, case.unit);
    for row in figures.of(case.name) {
        if let Some(error) = &row.error {
            text += &format!("| {} | {} | | | | | | | |\n", row.server, reason(error));
            continue;
        }
        let cost = row.cost(case.unit);
        let over = |base: Option<f64>| cost.zip(base).map(|(cost, base)| cost / base);
        let over_floor = over(floor).filter(|_| case.unit == Unit::Cpu);
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            row.server,
            plain(cost),
            plain(over_floor),
            plain(over(ours)),
            whole(row.per_second),
            plain(row.p50_ms),
            plain(row.p99_ms),
            plain(row.p999_ms),
            whole(row.rss_kib),
        );
    }
    for server in IN_NODE {
        if !figures.has(server) {
            text += &format!("| {server} | not measured: no Node.js | | | | | | | |\n");
        }
    }
    text.push('\n');
    text
}

/// Returns a row as it is shown while the rest is being measured.
pub(crate) fn line(row: &Row) -> String {
    let name = format!("{:<18}{:<18}", row.case, row.server);
    if let Some(error) = &row.error {
        return format!("{name}{error}");
    }
    let mut figures = Vec::new();
    figures.extend(row.cpu_us.map(|cost| amount(cost, Unit::Cpu)));
    figures.extend(row.kib_each.map(|cost| amount(cost, Unit::Memory)));
    figures.extend(
        row.per_second
            .map(|count| format!("{} a second", whole(Some(count)))),
    );
    format!("{name}{}", figures.join(", "))
}

/// Returns the beginning of an error, which names it.
fn reason(error: &str) -> &str {
    error.split(": ").next().unwrap_or(error)
}

/// Returns a cost with its unit, in three digits.
pub(crate) fn amount(cost: f64, unit: Unit) -> String {
    match unit {
        Unit::Cpu => format!("{} µs", digits(cost)),
        Unit::Memory => format!("{} KiB", digits(cost)),
        Unit::Compile => format!("{} ms", digits(cost)),
    }
}

fn plain(figure: Option<f64>) -> String {
    figure.map(digits).unwrap_or_default()
}

fn digits(figure: f64) -> String {
    match figure.abs() {
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

fn whole(figure: Option<f64>) -> String {
    let Some(figure) = figure else {
        return String::new();
    };
    let text = format!("{figure:.0}");
    let mut out = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Run;

    fn run(began: u64) -> Run {
        Run {
            began,
            on: "2 cores".to_owned(),
            ..Run::default()
        }
    }

    fn figures() -> Figures {
        let rows = [
            r#"{"server": "floor", "case": "echo", "cpu_us": 4, "rss_kib": 12345}"#,
            r#"{"server": "ours", "case": "echo", "cpu_us": 6, "per_second": 1234567}"#,
            r#"{"server": "by-hand", "case": "echo", "cpu_us": 15}"#,
            r#"{"server": "trillium-channels", "case": "echo", "error": "messages were lost: 3"}"#,
        ];
        Figures::median(&rows.map(|row| Row::read(row).unwrap()), &Run::default())
    }

    #[test]
    fn the_short_table_has_ratios_to_the_floor_and_to_ours() {
        let table = short(&figures());
        let row = table.lines().last().unwrap();
        assert_eq!(
            row,
            "| push and reply, 100 sockets | 6.00 µs | 1.50 | 2.5 × | not measured | \
             messages were lost | not measured | not measured |"
        );
    }

    #[test]
    fn the_full_table_says_which_servers_were_not_measured() {
        let table = full(&figures(), None);
        assert!(table.contains("| floor | 4.00 | 1.00 | 0.67 |"), "{table}");
        assert!(
            table.contains("| 1,234,567 |") && table.contains("| 12,345 |"),
            "{table}"
        );
        assert!(
            table.contains("| ws | not measured: no Node.js |"),
            "{table}"
        );
    }

    #[test]
    fn growth_is_a_ratio_of_two_cases_of_the_same_server() {
        let rows = [
            r#"{"server": "ours", "case": "fanout-1", "cpu_us": 4}"#,
            r#"{"server": "ours", "case": "intercept", "cpu_us": 6}"#,
            r#"{"server": "ws", "case": "fanout-1", "cpu_us": 6}"#,
        ];
        let figures = Figures::median(&rows.map(|row| Row::read(row).unwrap()), &Run::default());
        let table = growth(&figures);
        assert_eq!(table.trim().lines().last(), Some("| ours |  |  | 1.50 |"));
    }

    #[test]
    fn growth_has_no_ratio_of_two_runs() {
        let row = |case| {
            let json = format!(r#"{{"server": "ours", "case": "{case}", "cpu_us": 4}}"#);
            Row::read(&json).unwrap()
        };
        let mut figures = Figures::median(&[row("fanout-1"), row("intercept")], &run(1));
        figures.replace(Figures::median(&[row("fanout-1")], &run(2)));
        assert_eq!(growth(&figures), "");
    }

    #[test]
    fn cases_of_another_run_than_most_are_named() {
        let row = |case: &str| Row {
            case: case.to_owned(),
            ..Row::default()
        };
        let rows = ["echo", "storm", "echo", "storm", "idle"].map(row);
        let mut figures = Figures::median(&rows, &run(1));
        assert_eq!(runs(&figures), "2 cores, medians of 2 runs.");
        figures.replace(Figures::median(&[row("idle")], &run(2)));
        let line = "2 cores, medians of 2 runs. Measured apart: `idle` (one run).";
        assert_eq!(runs(&figures), line);
    }

    #[test]
    fn what_is_between_the_markers_is_replaced() {
        let page = format!("a\n{START}\nold\n{END}\nb\n");
        let page = between_markers(&page, "new\n").unwrap();
        assert_eq!(page, format!("a\n{START}\n\nnew\n\n{END}\nb\n"));
        assert_eq!(between_markers(&page, "new").unwrap(), page);
        assert!(between_markers("a", "new").is_err());
    }
}
