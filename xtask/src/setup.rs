//! Installs the tools that the tests need besides a Rust toolchain, or names those that cannot be
//! installed.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    command::{command, find, run},
    workspace::Workspace,
};

/// The oldest Node.js whose test runner is supported.
const NODE: u32 = 20;

const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Installs the packages of the clients' tests.
pub(crate) fn node_modules(workspace: &Workspace) -> Result<()> {
    packages(&workspace.root.join("clients"))
}

/// Installs the packages that a folder's `package-lock.json` names, unless they are present.
pub(crate) fn packages(folder: &Path) -> Result<()> {
    let found = node_version();
    ensure!(
        found.is_some_and(|version| version >= NODE) && find("npm").is_some(),
        "Node.js {NODE} or later with npm is needed on the PATH: https://nodejs.org"
    );
    let time = |file: &str| folder.join(file).metadata()?.modified();
    let locked = time("package-lock.json")
        .with_context(|| format!("{} has no package-lock.json", folder.display()))?;
    if time("node_modules/.package-lock.json").is_ok_and(|installed| installed >= locked) {
        return Ok(());
    }
    let mut install = command("npm", &["ci", "--no-audit", "--no-fund"]);
    install.current_dir(folder);
    run(install)
}

fn node_version() -> Option<u32> {
    let output = command("node", &["--version"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    major(&String::from_utf8_lossy(&output.stdout))
}

fn major(version: &str) -> Option<u32> {
    version
        .trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// Finds Chromium: by the `CHROMIUM` variable, the `PATH`, or as Debian's package, which root can
/// have installed.
pub(crate) fn chromium() -> Result<PathBuf> {
    if let Some(given) = env::var_os("CHROMIUM") {
        return Ok(given.into());
    }
    if let Some(found) = installed() {
        return Ok(found);
    }
    if find("apt-get").is_none() || !is_root() {
        bail!(
            "Chromium is needed: install it (Debian: `apt-get install chromium`), or say where \
               it is with CHROMIUM=/path/to/chromium"
        );
    }
    apt_get(&["update"])?;
    apt_get(&[
        "install",
        "--yes",
        "--no-install-recommends",
        "chromium",
        "fonts-liberation",
    ])?;
    installed().context("Debian's chromium is installed, but not on the PATH")
}

/// Finds the servers that `cluster-tests` starts.
pub(crate) fn engines() -> Result<()> {
    servers(&["redis-server", "nats-server", "nginx"])
}

/// Finds the database that the tests of `channel-sync` start.
pub(crate) fn postgres() -> Result<()> {
    // Debian keeps the programs of its servers side by side, by version, and on no path.
    let debians = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let there = debians
        .flatten()
        .any(|version| version.path().join("bin/initdb").is_file());
    if there || find("initdb").is_some() {
        return Ok(());
    }
    install(&["postgresql"])
}

/// Finds nginx.
pub(crate) fn nginx() -> Result<PathBuf> {
    servers(&["nginx"])?;
    server("nginx").context("Debian's nginx is installed, but not where it should be")
}

/// Makes sure that servers are present: those that are missing are Debian's packages of the same
/// names, which root can have installed.
fn servers(names: &[&'static str]) -> Result<()> {
    let missing: Vec<_> = names
        .iter()
        .copied()
        .filter(|name| server(name).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)
}

/// Installs Debian's packages.
fn install(names: &[&'static str]) -> Result<()> {
    if find("apt-get").is_none() || !is_root() {
        let names = names.join(" ");
        bail!("these tests need {names}; on Debian: `apt-get install {names}`");
    }
    apt_get(&["update"])?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[&install[..], names].concat())
}

/// Finds a server on the `PATH`, or in Debian's folder of programs for root.
fn server(name: &str) -> Option<PathBuf> {
    let debians = PathBuf::from("/usr/sbin").join(name);
    find(name).or_else(|| debians.is_file().then_some(debians))
}

fn installed() -> Option<PathBuf> {
    BROWSERS.into_iter().find_map(find)
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut apt = command("apt-get", &["--quiet=2", "--option", "Acquire::Retries=3"]);
    apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    run(apt)
}

fn is_root() -> bool {
    let id = command("id", &["-u"]).output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_version_is_read() {
        assert_eq!(major("v20.11.1\n"), Some(20));
        assert_eq!(major("20"), None);
        assert_eq!(major(""), None);
    }
}
