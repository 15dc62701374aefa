//! The workspace as cargo describes it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::command::command;

pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    target: PathBuf,
    metadata: Value,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let output = command("cargo", &["metadata", "--format-version", "1", "--no-deps"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        ensure!(output.status.success(), "`cargo metadata` failed");
        Self::read(serde_json::from_slice(&output.stdout)?)
    }

    fn read(metadata: Value) -> Result<Self> {
        let path = |key: &str| {
            let path = metadata[key]
                .as_str()
                .with_context(|| format!("metadata has no {key}"))?;
            anyhow::Ok(PathBuf::from(path))
        };
        let (root, target) = (path("workspace_root")?, path("target_directory")?);
        Ok(Workspace {
            root,
            target,
            metadata,
        })
    }

    /// Returns the path of a program of the workspace that is built for debugging.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target
            .join("debug")
            .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    fn package(&self, name: &str) -> Result<&Value> {
        let packages = self.metadata["packages"]
            .as_array()
            .context("metadata has no packages")?;
        packages
            .iter()
            .find(|known| known["name"] == name)
            .with_context(|| format!("metadata has no package {name}"))
    }

    /// Returns the features of a package, without `default`, in alphabetical order.
    pub(crate) fn features(&self, package: &str) -> Result<Vec<String>> {
        let features = self.package(package)?["features"]
            .as_object()
            .with_context(|| format!("{package} has no features"))?;
        Ok(features
            .keys()
            .filter(|name| *name != "default")
            .cloned()
            .collect())
    }

    /// Returns the folders of a package and of its path dependencies.
    pub(crate) fn folders(&self, package: &str) -> Result<BTreeSet<PathBuf>> {
        let mut folders = BTreeSet::new();
        let mut names = vec![package];
        while let Some(name) = names.pop() {
            let package = self.package(name)?;
            let manifest = package["manifest_path"].as_str().map(Path::new);
            let folder = manifest.and_then(Path::parent);
            let folder = folder.with_context(|| format!("{name} is nowhere"))?;
            if !folders.insert(folder.to_owned()) {
                continue;
            }
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            let local = dependencies.filter(|dependency| dependency["path"].is_string());
            names.extend(local.filter_map(|dependency| dependency["name"].as_str()));
        }
        Ok(folders)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace() -> Workspace {
        let features = json!({"default": ["b"], "b": [], "a": ["b"]});
        let metadata = json!({
            "workspace_root": "/w",
            "target_directory": "/t",
            "packages": [
                {"name": "other", "features": {}, "manifest_path": "/w/other/Cargo.toml"},
                {"name": "lib", "features": features, "manifest_path": "/w/lib/Cargo.toml",
                 "dependencies": [{"name": "other", "path": "/w/other"}, {"name": "serde"},
                                  {"name": "lib", "path": "/w/lib"}]},
            ],
        });
        Workspace::read(metadata).unwrap()
    }

    #[test]
    fn features_are_read_without_the_default() {
        assert_eq!(workspace().features("lib").unwrap(), ["a", "b"]);
        assert!(workspace().features("other").unwrap().is_empty());
        assert!(workspace().features("none").is_err());
    }

    #[test]
    fn a_packages_folders_are_its_own_and_those_it_depends_on() {
        let folders = |name| workspace().folders(name).unwrap();
        let both = ["/w/lib", "/w/other"].map(PathBuf::from);
        assert_eq!(folders("lib"), BTreeSet::from(both));
        assert_eq!(folders("other").len(), 1);
        assert!(workspace().folders("none").is_err());
    }

    #[test]
    fn a_program_is_in_the_target_directory() {
        let program = workspace().program("chat");
        assert!(program.starts_with("/t/debug"), "{program:?}");
    }

    #[test]
    fn metadata_without_a_root_is_refused() {
        assert!(Workspace::read(json!({"target_directory": "/t"})).is_err());
    }
}
