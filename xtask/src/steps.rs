//! The checks, in the order in which they run: quick ones first.

use std::process::Command;

use anyhow::Result;

use crate::{
    command::{check, command, run},
    layers::layers,
    prose::prose,
    report::Outcome,
    setup,
    workspace::Workspace,
};

pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(&Workspace) -> Result<Outcome>,
}

pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        what: "every file is formatted",
        run: fmt,
    },
    Step {
        name: "layers",
        what: "rooms use those below them only, and no files stand in a circle",
        run: layers,
    },
    Step {
        name: "prose",
        what: "comments and pages are in plain English",
        run: prose,
    },
    Step {
        name: "clippy",
        what: "no warning in any target",
        run: clippy,
    },
    Step {
        name: "features",
        what: "each feature of channel-runtime alone, none, and all",
        run: features,
    },
    Step {
        name: "docs",
        what: "the documentation builds without a warning",
        run: docs,
    },
    Step {
        name: "benchmarks",
        what: "the benchmarks compile, and their arithmetic holds; nothing is measured",
        run: benchmarks,
    },
    Step {
        name: "test",
        what: "unit, integration, compile-fail and documentation tests",
        run: test,
    },
    Step {
        name: "node",
        what: "the official JavaScript clients, old and new, those of uploads, and Electric's",
        run: node,
    },
    Step {
        name: "reload",
        what: "the chat while it is developed: restarts and changed files",
        run: reload,
    },
    Step {
        name: "nginx",
        what: "the examples tls and cluster behind a proxy",
        run: nginx,
    },
    Step {
        name: "browser",
        what: "the chat in two pages of Chromium, and files uploaded from one",
        run: browser,
    },
];

fn cargo(arguments: &[&str]) -> Command {
    command("cargo", arguments)
}

fn fmt(_: &Workspace) -> Result<Outcome> {
    Ok(check(cargo(&["fmt", "--all", "--check"])))
}

fn clippy(_: &Workspace) -> Result<Outcome> {
    Ok(check(cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ])))
}

/// Checks the library only, since its tests need features of their own.
fn features(workspace: &Workspace) -> Result<Outcome> {
    const PACKAGE: &str = "channel-runtime";
    let names = workspace.features(PACKAGE)?;
    let with = |features: &[&str]| {
        let package = ["clippy", "--package", PACKAGE, "--no-default-features"];
        check(cargo(
            &[&package[..], features, &["--", "-D", "warnings"]].concat(),
        ))
    };
    let none = with(&[]);
    let each: Outcome = names.iter().map(|name| with(&["--features", name])).sum();
    Ok(none + each + with(&["--all-features"]))
}

fn docs(_: &Workspace) -> Result<Outcome> {
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    Ok(check(doc))
}

/// Checks the benchmarks, which are workspaces of their own to keep the peers out of the project's
/// builds.
fn benchmarks(workspace: &Workspace) -> Result<Outcome> {
    let inside = |folder: &str, arguments: &[&str]| {
        let mut cargo = cargo(arguments);
        cargo.current_dir(workspace.root.join(folder));
        check(cargo)
    };
    let lints = ["benchmarks", "benchmarks/cluster", "benchmarks/uploads"].map(|folder| {
        inside(folder, &["fmt", "--check"])
            + inside(folder, &["clippy", "--all-targets", "--", "-D", "warnings"])
    });
    let lints: Outcome = lints.into_iter().sum();
    Ok(lints + inside("benchmarks", &["test", "--lib", "--bin=load"]))
}

fn test(_: &Workspace) -> Result<Outcome> {
    setup::engines()?;
    setup::postgres()?;
    Ok(check(cargo(&["test", "--workspace", "--no-fail-fast"])))
}

fn node(workspace: &Workspace) -> Result<Outcome> {
    setup::node_modules(workspace)?;
    run(cargo(&["build", "-p", "reference", "-p", "shapes"]))?;
    let (reference, shapes) = (workspace.program("reference"), workspace.program("shapes"));
    let against = |script: &str| {
        let mut tests = clients(workspace, script);
        tests.env("REFERENCE_BIN", &reference);
        tests.env("SHAPES_BIN", &shapes);
        check(tests)
    };
    Ok(against("test:node") + against("test:uploads") + against("test:sync"))
}

fn reload(workspace: &Workspace) -> Result<Outcome> {
    const CHAT: [&str; 2] = ["--package=chat", "--features=reload"];
    setup::node_modules(workspace)?;
    let chromium = setup::chromium()?;
    let restarts = check(cargo(&[&["test"], &CHAT[..], &["--test=reload"]].concat()));
    run(cargo(&[&["build"], &CHAT[..]].concat()))?;
    let mut pages = clients(workspace, "test:reload");
    pages
        .env("CHAT_BIN", workspace.program("chat"))
        .env("CHROMIUM", chromium);
    Ok(restarts + check(pages))
}

fn nginx(workspace: &Workspace) -> Result<Outcome> {
    setup::node_modules(workspace)?;
    let nginx = setup::nginx()?;
    setup::engines()?;
    run(cargo(&["build", "-p", "tls", "-p", "cluster"]))?;
    let mut tests = clients(workspace, "test:nginx");
    tests
        .env("TLS_BIN", workspace.program("tls"))
        .env("CLUSTER_BIN", workspace.program("cluster"))
        .env("NGINX_BIN", nginx);
    Ok(check(tests))
}

fn browser(workspace: &Workspace) -> Result<Outcome> {
    setup::node_modules(workspace)?;
    let chromium = setup::chromium()?;
    run(cargo(&["build", "-p", "chat", "-p", "uploads"]))?;
    let mut tests = clients(workspace, "test:browser");
    tests
        .env("CHAT_BIN", workspace.program("chat"))
        .env("UPLOADS_BIN", workspace.program("uploads"))
        .env("CHROMIUM", chromium);
    Ok(check(tests))
}

/// Returns a script of `clients/package.json`; [`check`] reads the output of its reporter.
pub(crate) fn clients(workspace: &Workspace, script: &str) -> Command {
    let mut npm = command("npm", &["run", "--silent", script]);
    npm.current_dir(workspace.root.join("clients"));
    npm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_name_of_its_own() {
        for (at, step) in STEPS.iter().enumerate() {
            assert!(
                !STEPS[..at].iter().any(|other| other.name == step.name),
                "{}",
                step.name
            );
        }
    }
}
