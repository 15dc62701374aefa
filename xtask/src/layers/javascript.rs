//! The modules of clients in JavaScript, and their imports of each other.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result};

use super::graph::circles;

/// Returns the sets of modules below a folder that import each other, by their paths from `root`.
pub(super) fn circles_below(root: &Path, folder: &str) -> Result<Vec<Vec<String>>> {
    let mut imports = Vec::new();
    collect(root, Path::new(folder), &mut imports)?;
    let arrows = imports
        .iter()
        .map(|(from, to)| (from.as_str(), to.as_str()));
    let circles = circles(arrows).into_iter();
    Ok(circles
        .map(|files| files.into_iter().map(str::to_owned).collect())
        .collect())
}

fn collect(root: &Path, folder: &Path, imports: &mut Vec<(String, String)>) -> Result<()> {
    let shown = folder.display();
    let entries =
        fs::read_dir(root.join(folder)).with_context(|| format!("cannot read {shown}"))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {shown}"))?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "node_modules" {
                collect(root, &path, imports)?;
            }
        } else if path
            .extension()
            .is_some_and(|kind| kind == "js" || kind == "mjs")
        {
            let text = fs::read_to_string(root.join(&path))
                .with_context(|| format!("cannot read {}", path.display()))?;
            let from = path.to_string_lossy().into_owned();
            imports.extend(specifiers(&text).map(|to| (from.clone(), normal(folder, to))));
        }
    }
    Ok(())
}

/// Returns the paths that a module imports: `from "./entry.js"`, `import "./entry.js"`,
/// `import("./entry.js")`.
fn specifiers(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.match_indices(['"', '\'']);
    quoted.filter_map(|(at, quote)| {
        let before = text[..at].trim_end_matches([' ', '\n', '(']);
        let imports = before.ends_with("from") || before.ends_with("import");
        let (specifier, _) = text[at + 1..].split_once(quote)?;
        (imports && specifier.starts_with('.')).then_some(specifier)
    })
}

/// Returns a path from a folder, without `.` and `..`.
fn normal(folder: &Path, specifier: &str) -> String {
    let mut path = PathBuf::new();
    for part in folder.join(specifier).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path.to_string_lossy().into_owned()
}
