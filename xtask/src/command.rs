//! Runs other programs, and reads their output.

use std::{
    env,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Result, bail};

use crate::report::{Failure, Listener, Outcome};

/// Returns a program with its arguments, without a shell.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command that others need. If it fails, they are not run.
pub(crate) fn run(command: Command) -> Result<()> {
    let Outcome { failures, .. } = check(command);
    match failures.into_iter().next() {
        Some(failure) => bail!(failure.what),
        None => Ok(()),
    }
}

/// Runs a command, shows its output as it comes, and reads the results of its tests.
pub(crate) fn check(mut command: Command) -> Outcome {
    let shown = show(&command);
    println!("$ {shown}");
    let mut listener = Listener::default();
    let failure = match listen(&mut command, &mut listener) {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("`{shown}` ended with {status}")),
        Err(error) => Some(format!("cannot run `{shown}`: {error}")),
    };
    let Listener { counts, tests, .. } = listener;
    let failures = failure.map(|what| Failure { what, tests });
    Outcome {
        counts,
        failures: Vec::from_iter(failures),
    }
}

fn listen(command: &mut Command, listener: &mut Listener) -> io::Result<ExitStatus> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            listener.hear(&line);
        }
    }
    child.wait()
}

/// Returns a command as one would type it, without the variables that it gets.
fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the path of a program if it is on the `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| is_program(file))
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let command = command("cargo", &["fmt", "--all"]);
        assert_eq!(show(&command), "cargo fmt --all");
    }

    #[test]
    fn a_program_that_fails_is_an_error_that_names_it() {
        let error = run(command("cargo", &["no-such-subcommand"]))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("`cargo no-such-subcommand` ended with"),
            "{error}"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_not_found() {
        assert!(find("cargo").is_some());
        assert_eq!(find("no-such-program-here"), None);
        let error = run(command("no-such-program-here", &[]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no-such-program-here"), "{error}");
    }
}
