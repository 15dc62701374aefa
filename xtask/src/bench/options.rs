//! The options of a benchmark run.

use anyhow::{Context, Result, bail, ensure};

use super::cases::CASES;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The number of measurements of each case; the median counts.
    pub(crate) runs: usize,
    /// The cases' names; empty for all.
    pub(crate) cases: Vec<String>,
    /// True for fewer sockets and less time: to see that it works, not what it costs.
    pub(crate) quick: bool,
    /// True to measure nothing, and write the pages again from the kept figures.
    pub(crate) pages: bool,
    /// A Phoenix to measure as well.
    pub(crate) url: Option<String>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Options {
            runs: 3,
            cases: Vec::new(),
            quick: false,
            pages: false,
            url: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("`{word}` needs a value"))
            };
            match *word {
                "--runs" => {
                    options.runs = value()?.parse().ok().filter(|runs| *runs > 0).context(
                        "`--runs` takes how often each case is measured, a number from 1 on",
                    )?;
                }
                "--case" => options.cases.push(case(value()?)?),
                "--url" => {
                    let url = value()?;
                    ensure!(
                        url.starts_with("ws://"),
                        "`--url` takes a URL like ws://127.0.0.1:4000"
                    );
                    options.url = Some((*url).to_owned());
                }
                "--quick" => options.quick = true,
                "--pages" => options.pages = true,
                other => bail!(
                    "`bench` does not know `{other}`, but --runs N, --case NAME, --url WS_URL, --quick and --pages"
                ),
            }
        }
        Ok(options)
    }

    /// Returns true if a case is to be run.
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| wanted == case)
    }
}

fn case(name: &str) -> Result<String> {
    let known: Vec<_> = CASES.iter().map(|case| case.name).collect();
    ensure!(
        known.contains(&name),
        "no case is called `{name}`; there are: {}",
        known.join(", ")
    );
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options> {
        Options::parse(&line.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn all_cases_are_run_three_times_unless_told() {
        let options = read("").unwrap();
        assert!(options.runs == 3 && options.wants("echo"));
    }

    #[test]
    fn options_are_read() {
        let options = read("--runs 5 --case echo --case idle --quick --url ws://a").unwrap();
        assert_eq!(options.runs, 5);
        assert!(options.wants("idle") && !options.wants("storm"));
        assert_eq!(options.url.as_deref(), Some("ws://a"));
        assert!(options.quick);
    }

    #[test]
    fn what_is_not_understood_is_answered_in_a_line() {
        for (line, hint) in [
            ("--runs 0", "from 1 on"),
            ("--runs", "needs a value"),
            ("--case ech", "fanout-1, "),
            ("--url http://a", "ws://"),
            ("-q", "--quick"),
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(hint) && !error.contains('\n'), "{error}");
        }
    }
}
