//! The figures that are kept, and the pages that are written from them.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{compile_time::CompileTime, figures::Figures, markdown, plots};

/// The content of `benchmarks/results.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) figures: Figures,
    pub(crate) compile_time: Option<CompileTime>,
}

impl Results {
    /// Reads the kept figures: none if there is no such file.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let shown = file.display();
        match fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("{shown}")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {shown}")),
        }
    }

    /// Replaces figures with newer ones.
    pub(crate) fn replace(&mut self, newer: Self) {
        self.figures.replace(newer.figures);
        self.compile_time = newer.compile_time.or(self.compile_time.take());
    }

    /// Returns every figure of every case.
    pub(crate) fn tables(&self) -> String {
        markdown::full(&self.figures, self.compile_time.as_ref())
    }

    /// Writes the figures, and tables and plots of them.
    pub(crate) fn keep(&self, root: &Path) -> Result<()> {
        let folder = root.join("benchmarks");
        let text = serde_json::to_string_pretty(self)?;
        write(&file(root), &format!("{text}\n"))?;
        plots::write(&self.figures, &folder.join("plots"))?;
        let runs = markdown::runs(&self.figures);
        let short = format!("{}\n{runs}", markdown::short(&self.figures));
        let tables = format!("{runs} Memory is measured once.\n\n{}", self.tables());
        replace(&root.join("README.md"), &short)?;
        replace(&folder.join("RESULTS.md"), &tables)
    }
}

/// Returns the path of the kept figures.
pub(crate) fn file(root: &Path) -> std::path::PathBuf {
    root.join("benchmarks/results.json")
}

/// Replaces the generated part of a page.
fn replace(page: &Path, text: &str) -> Result<()> {
    let shown = page.display();
    let former = fs::read_to_string(page).with_context(|| format!("cannot read {shown}"))?;
    let now = markdown::between_markers(&former, text).with_context(|| format!("{shown}"))?;
    write(page, &now)
}

fn write(file: &Path, text: &str) -> Result<()> {
    let shown = file.display();
    fs::write(file, text).with_context(|| format!("cannot write {shown}"))?;
    println!("written: {shown}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn what_is_kept_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        assert!(Results::read(&path).unwrap().compile_time.is_none());
        let kept = Results::read(&file(&Workspace::load().unwrap().root)).unwrap();
        let text = serde_json::to_string(&kept).unwrap();
        fs::write(&path, text).unwrap();
        assert_eq!(Results::read(&path).unwrap().tables(), kept.tables());
    }

    #[test]
    fn the_pages_show_the_figures_that_are_kept() {
        let root = Workspace::load().unwrap().root;
        let kept = Results::read(&file(&root)).unwrap();
        let page = |name| fs::read_to_string(root.join(name)).unwrap();
        assert!(page("README.md").contains(markdown::short(&kept.figures).trim()));
        assert!(page("benchmarks/RESULTS.md").contains(kept.tables().trim()));
    }
}
