//! The load generator: runs cases against servers, and prints a row for each.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use benchmarks::{
    cases::{CASES, Case, Scale},
    figures::Row,
    server::{Kind, Server, named},
};

const USAGE: &str = "\
usage: load [--case NAME]… [--url WS_URL] [--quick] [--json] SERVER…";

/// A server to measure: one to start for each case, or one that runs at a URL.
enum Target {
    Start(&'static Kind),
    Url(String),
}

struct Options {
    targets: Vec<Target>,
    cases: Vec<&'static Case>,
    scale: Scale,
    json: bool,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("load: {error:#}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    if !options.json {
        println!("{}", Row::HEAD);
    }
    for case in &options.cases {
        for target in &options.targets {
            if case.suits(target.kind()) {
                print(target, case, &options);
            }
        }
    }
    ExitCode::SUCCESS
}

fn print(target: &Target, case: &Case, options: &Options) {
    let name = target.name();
    match run(target, case, options.scale) {
        Ok(row) if options.json => println!("{}", serde_json::json!(row)),
        Ok(row) => println!("{row}"),
        Err(error) if options.json => {
            let error = format!("{error:#}");
            println!(
                "{}",
                serde_json::json!({"server": name, "case": case.name, "error": error})
            );
        }
        Err(error) => println!("| {name} | {} | {error:#} | | | | | | | |", case.name),
    }
}

fn run(target: &Target, case: &Case, scale: Scale) -> Result<Row> {
    let server = match target {
        Target::Start(kind) => Server::start(kind)?,
        Target::Url(url) => Server::at(url)?,
    };
    let measured = case.run(&server, scale)?;
    Ok(Row::new(
        target.name(),
        case.name,
        measured,
        server.memory()?,
    ))
}

impl Target {
    fn kind(&self) -> Option<&'static Kind> {
        match self {
            Target::Start(kind) => Some(kind),
            Target::Url(_) => None,
        }
    }

    fn name(&self) -> &'static str {
        self.kind().map_or("phoenix", |kind| kind.name)
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options {
        targets: Vec::new(),
        cases: Vec::new(),
        scale: Scale { quick: false },
        json: false,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--case" => options
                .cases
                .push(case(&words.next().context("--case needs a name")?)?),
            "--url" => {
                let url = words.next().context("--url needs a URL")?;
                Server::at(&url)?;
                options.targets.push(Target::Url(url));
            }
            "--quick" => options.scale.quick = true,
            "--json" => options.json = true,
            name => options.targets.push(Target::Start(named(name)?)),
        }
    }
    if options.targets.is_empty() {
        bail!("which servers?");
    }
    if options.cases.is_empty() {
        options.cases = CASES.iter().collect();
    }
    Ok(options)
}

fn case(name: &str) -> Result<&'static Case> {
    let Some(case) = CASES.iter().find(|case| case.name == name) else {
        let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        bail!("no case is called {name:?}; there are {}", names.join(", "));
    };
    Ok(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn servers_and_cases_are_read_by_name() {
        let options = read("--case echo ours --url ws://a --json").unwrap();
        assert!(options.json && !options.scale.quick);
        assert_eq!(options.cases.len(), 1);
        let names: Vec<_> = options.targets.iter().map(Target::name).collect();
        assert_eq!(names, ["ours", "phoenix"]);
        assert_eq!(read("ours").unwrap().cases.len(), CASES.len());
    }

    #[test]
    fn what_is_not_known_is_answered_with_what_is() {
        for (line, hint) in [
            ("--case ech ours", "echo"),
            ("our", "ours"),
            ("", "which servers"),
        ] {
            let error = read(line).err().unwrap().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
