//! The tables of the documentation match the sources.

use std::{collections::BTreeSet, fs, path::Path};

/// Returns the sources without their comments and their unit tests, each with its path.
fn sources() -> Vec<(String, String)> {
    fn walk(directory: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_string_lossy().replace('\\', "/");
            if path.is_dir() {
                // The test kit logs for tests only.
                if !name.ends_with("/src/test") {
                    walk(&path, found);
                }
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
                let lines = code
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                found.push((name, lines.collect::<Vec<_>>().join("\n")));
            }
        }
    }
    let mut found = Vec::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    found
}

/// Returns the string literals that stand directly behind `before`, apart from white space.
fn literals(code: &str, before: &str) -> Vec<String> {
    let behind = code.split(before).skip(1);
    let literals = behind.filter_map(|text| text.trim_start().strip_prefix('"'));
    let whole = literals.filter_map(|text| text.split('"').next());
    whole.map(str::to_owned).collect()
}

/// Returns the texts between backticks in the first column of a table.
fn first_column(table: &str) -> BTreeSet<String> {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split(" |").next());
    let names = cells.flat_map(|cell| cell.split('`').step_by(2));
    let names = names.filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

#[test]
fn every_metric_is_described_and_in_the_table() {
    let mut used = BTreeSet::new();
    let mut described = BTreeSet::new();
    for (path, code) in sources() {
        if path.ends_with("telemetry/describe.rs") {
            described.extend(literals(&code, "("));
            continue;
        }
        for before in [
            "counter!(",
            "gauge!(",
            "histogram!(",
            "Key::from_static_parts(",
        ] {
            used.extend(literals(&code, before));
        }
    }
    assert!(used.len() > 30, "{used:?}");
    assert_eq!(used, described);
    assert_eq!(
        used,
        first_column(include_str!("../../../src/docs/metrics.md"))
    );
}

#[test]
fn every_reason_that_a_client_can_see_is_in_the_table() {
    let mut given = BTreeSet::new();
    for (path, code) in sources() {
        given.extend(literals(&code, "Refusal::new("));
        for number in [1001, 1002, 1007, 1009, 1012, 1013] {
            given.extend(literals(&code, &format!("Close::new({number}, ")));
        }
        let words: &[&str] = match path.rsplit("/src/").next() {
            Some("socket/session.rs") => &["message, ", "&message, "],
            Some("socket/channels_handler.rs") => &["DecodeError::Malformed(_) =>"],
            Some("transport/websocket/codec.rs") => &["protocol("],
            Some("upload/channel/begin.rs") => &["Err(", "|_| ", "ok_or(", "=> "],
            Some("upload/end.rs") => &["=> ", "\"reason\": "],
            Some("upload/handle.rs") => &["#[error("],
            _ => &[],
        };
        given.extend(words.iter().flat_map(|before| literals(&code, before)));
    }
    // The statuses of replies.
    given.retain(|word| !["", "ok", "error"].contains(&word.as_str()));
    let listed = first_column(include_str!("../../../src/docs/reasons.md"));
    let missing: Vec<_> = given.difference(&listed).collect();
    let invented: Vec<_> = listed.difference(&given).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    assert!(invented.is_empty(), "given nowhere: {invented:?}");
}
