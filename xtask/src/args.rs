//! The command line.

use anyhow::{Result, bail};

use crate::{bench::Options, soak};

pub(crate) const USAGE: &str = "\
usage: cargo xtask <task>

tasks:
  test                run every check, in order; at the end stands all that failed
  test --only <step>  run one of them
  list                name the steps
  soak                what takes hours: property tests with many cases, and what may race again and again
        --only <soak>   properties, or races
        --cases <n>     so many cases of each property, 20000 otherwise
        --rounds <n>    what may race so often, 20 otherwise
  dev -p <example>    run an example, rebuilt and restarted on every change; its socket stays open
  bench               measure what this and other servers cost; takes half an hour
        --quick         only see whether all can be measured
        --case <case>   one case, in the place of its former figures
        --runs <n>      the median of more or fewer than 3 runs
        --pages         write tables and plots anew, from benchmarks/results.json
        --url <ws url>  measure a Phoenix that runs there, too
  drain [sockets]     send 5000 sockets away, and show when each went
  help                say this";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    List,
    Test { only: Option<String> },
    Dev { package: String },
    Bench(Options),
    Soak(soak::Options),
    Drain { arguments: Vec<String> },
}

/// Reads the arguments behind the program's name. `steps` are the names that `--only` takes.
pub(crate) fn parse(arguments: impl Iterator<Item = String>, steps: &[&str]) -> Result<Task> {
    let arguments: Vec<_> = arguments.collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => Ok(Task::Help),
        ["list"] => Ok(Task::List),
        ["dev", "-p" | "--package", package] => Ok(Task::Dev {
            package: (*package).to_owned(),
        }),
        ["bench", words @ ..] => Options::parse(words).map(Task::Bench),
        ["soak", words @ ..] => soak::Options::parse(words).map(Task::Soak),
        ["drain", arguments @ ..] => Ok(Task::Drain {
            arguments: arguments.iter().copied().map(str::to_owned).collect(),
        }),
        ["test"] => Ok(Task::Test { only: None }),
        ["test", "--only", step] if steps.contains(step) => Ok(Task::Test {
            only: Some((*step).to_owned()),
        }),
        ["test", "--only", step] => {
            bail!("there is no step `{step}`; there are: {}", steps.join(", "))
        }
        ["test", "--only"] => bail!("`--only` needs a step: {}", steps.join(", ")),
        other => bail!("`{}` is not understood\n\n{USAGE}", other.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Task> {
        parse(line.split_whitespace().map(str::to_owned), &["fmt", "node"])
    }

    #[test]
    fn a_task_is_read() {
        assert_eq!(read("test").unwrap(), Task::Test { only: None });
        let only = Some("node".to_owned());
        assert_eq!(read("test --only node").unwrap(), Task::Test { only });
        assert_eq!(read("list").unwrap(), Task::List);
        let package = "chat".to_owned();
        assert_eq!(read("dev -p chat").unwrap(), Task::Dev { package });
        let arguments = vec!["100".to_owned()];
        assert_eq!(read("drain 100").unwrap(), Task::Drain { arguments });
        assert_eq!(read("").unwrap(), Task::Help);
    }

    #[test]
    fn a_step_that_is_none_is_answered_with_those_there_are() {
        for line in ["test --only nod", "test --only"] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains("fmt, node"), "{error}");
        }
    }

    #[test]
    fn anything_else_is_answered_with_the_usage() {
        for line in ["tset", "test node", "list --only fmt", "dev chat"] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains("usage:") && error.contains(line), "{error}");
        }
    }
}
