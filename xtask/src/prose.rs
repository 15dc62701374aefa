//! Checks the words of comments and pages: a few turns of phrase that have a plainer form.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    report::{Failure, Outcome},
    workspace::Workspace,
};

/// Words that a plainer one replaces: the thing that is there, or the passive.
const WORDS: &[&str] = &[
    "nobody", "somebody", "anybody", "whoever", "lest", "in vain",
];

/// A comment that opens with one of these has no verb of its own.
const OPENINGS: &[&str] = &["What ", "Who ", "Whoever ", "Whether "];

/// The endings of sources and pages.
const ENDINGS: &[&str] = &[".rs", ".js", ".mjs", ".md"];

/// Checks the comments of every source file, and the text of every page.
pub(crate) fn prose(workspace: &Workspace) -> Result<Outcome> {
    let mut names = Vec::new();
    list(&workspace.root, &workspace.root, &mut names)?;
    let mut offences = 0;
    // The list of words stands in this file.
    for name in names.iter().filter(|name| *name != file!()) {
        let text = fs::read_to_string(workspace.root.join(name))
            .with_context(|| format!("cannot read {name}"))?;
        for (line, offence) in offences_of(&text, name.ends_with(".md")) {
            eprintln!("{name}:{line}: {offence}");
            offences += 1;
        }
    }
    println!("{offences} offences");
    let mut outcome = Outcome::default();
    if offences > 0 {
        outcome.failures.push(Failure {
            what: "plain English: CONTRIBUTING.md has the rules".to_owned(),
            tests: Vec::new(),
        });
    }
    Ok(outcome)
}

/// Folders of what is built or fetched.
const SKIPPED: &[&str] = &["target", "node_modules"];

/// Lists the sources and pages below `folder`, by their path from `root`.
fn list(root: &Path, folder: &Path, names: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {folder:?}"))?;
    for entry in entries {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || SKIPPED.contains(&&*name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list(root, &path, names)?;
        } else if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            let below = path.strip_prefix(root)?;
            names.push(below.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}

/// Returns the offences of a file, each with the number of its line.
fn offences_of(text: &str, is_page: bool) -> Vec<(usize, String)> {
    let lines = (1..).zip(text.lines());
    lines
        .filter_map(|(at, line)| {
            let words = if is_page { line } else { comment(line)? };
            Some((at, offence(words, is_page)?))
        })
        .collect()
}

/// Returns the comment of a line: all of a line that is one, or what follows the code.
fn comment(line: &str) -> Option<&str> {
    let start = line.trim_start();
    for mark in ["///", "//!", "//", "/**", "* "] {
        if let Some(rest) = start.strip_prefix(mark) {
            return Some(rest.trim_start());
        }
    }
    // In a string, two slashes follow the colon of a URL.
    let (_, rest) = line.split_once(" // ")?;
    Some(rest)
}

fn offence(text: &str, is_page: bool) -> Option<String> {
    let lower = text.to_lowercase();
    if let Some(word) = WORDS.iter().find(|word| has_word(&lower, word)) {
        return Some(format!("`{word}`: say it with a subject and a verb"));
    }
    let opening = OPENINGS.iter().find(|opening| text.starts_with(*opening))?;
    let is_question = text.contains('?');
    (!is_page && !is_question).then(|| {
        format!(
            "opens with `{}`: begin with the thing or a verb",
            opening.trim()
        )
    })
}

/// Returns true if `text` has `word` with no letter on either side.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let is_end = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        is_end(before) && is_end(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, is_page: bool) -> Vec<usize> {
        offences_of(text, is_page)
            .into_iter()
            .map(|(line, _)| line)
            .collect()
    }

    #[test]
    fn words_that_have_a_plainer_form_are_named_with_their_line() {
        let text = "/// Waits.\n/// Somebody else reads it.\nfn f() {} // lest it ends\n";
        assert_eq!(found(text, false), [2, 3]);
        assert_eq!(found("A page\nthat nobody reads", true), [2]);
    }

    #[test]
    fn a_comment_begins_with_its_subject_or_its_verb() {
        assert_eq!(found("    /// What is sent.\n    // Who?\n", false), [1]);
        assert_eq!(found("What is sent.\n", true), [0; 0]);
    }

    #[test]
    fn code_and_parts_of_words_are_let_through() {
        assert_eq!(found("let nobody = \"whoever\";\n", false), [0; 0]);
        assert_eq!(
            found("// the latest, celeste, nobody_home\n", false),
            [0; 0]
        );
    }
}
