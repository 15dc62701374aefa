//! Checks the crates against the layers that ARCHITECTURE.md lists: a room uses only those above it
//! in its list, names the room that an item comes from, and has no files in a circle.
//!
//! A room is a module at the top of a crate. The list is read from the page itself, so the page
//! cannot fall behind the code.

mod graph;
mod javascript;
mod source;

use std::{collections::BTreeSet, fmt, fs, path::Path};

use anyhow::{Context, Result, ensure};

use self::{
    graph::circles,
    javascript::circles_below,
    source::{Crate, Use},
};
use crate::{
    report::{Counts, Failure, Outcome},
    workspace::Workspace,
};

const PAGE: &str = "ARCHITECTURE.md";

/// Opens a list of rooms in the page; the name of the crate follows.
const OPENING: &str = "```text rooms=";

/// The folder of the clients in JavaScript, whose modules may not import each other in circles.
const CLIENTS: &str = "clients";

/// Checks every crate whose rooms the page lists, and the clients.
pub(crate) fn layers(workspace: &Workspace) -> Result<Outcome> {
    let path = workspace.root.join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
    let lists = lists(&page)?;
    ensure!(!lists.is_empty(), "{PAGE} lists no rooms");
    let mut outcome = Outcome::default();
    for list in lists {
        let Rooms { package, rooms, .. } = &list;
        let offences = check(&workspace.root, &list)?;
        println!(
            "{package}: {} rooms, {} offences",
            rooms.len(),
            offences.len()
        );
        report(package, &offences, &mut outcome);
    }
    let circles = circles_below(&workspace.root, CLIENTS)?.into_iter();
    let circles: Vec<_> = circles.map(|files| Offence::Circle { files }).collect();
    println!("{CLIENTS}: {} offences", circles.len());
    report(CLIENTS, &circles, &mut outcome);
    outcome.counts = Counts::default();
    Ok(outcome)
}

fn report(whose: &str, offences: &[Offence], outcome: &mut Outcome) {
    for offence in offences {
        eprintln!("{offence}");
    }
    if !offences.is_empty() {
        outcome.failures.push(Failure {
            what: format!("the layers of {whose}"),
            tests: Vec::new(),
        });
    }
}

/// Opens a line of a list that names files of one room which may need each other, being the parts
/// of one thing; the reason follows the names.
const ONE_THING: &str = "  one thing: ";

/// The rooms of a crate, lowest first.
#[derive(Debug, PartialEq, Eq)]
struct Rooms {
    package: String,
    rooms: Vec<String>,
    /// The files that are the parts of one thing, as `room/file`.
    things: Vec<BTreeSet<String>>,
}

/// Reads the lists of the page: the first word of each line that is not indented is a room.
fn lists(page: &str) -> Result<Vec<Rooms>> {
    let mut lists = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(package) = line.strip_prefix(OPENING) else {
            continue;
        };
        let (mut rooms, mut things) = (Vec::<String>::new(), Vec::new());
        for line in lines.by_ref().take_while(|line| *line != "```") {
            if let Some(named) = line.strip_prefix(ONE_THING) {
                let room = rooms
                    .last()
                    .context("a thing stands before the first room")?;
                let (files, why) = named.split_once(':').unwrap_or((named, ""));
                ensure!(
                    !why.trim().is_empty(),
                    "{PAGE} does not say why {files} are one thing"
                );
                let files = files
                    .split_whitespace()
                    .map(|file| format!("{room}/{file}"));
                things.push(files.collect());
            } else if !line.starts_with(char::is_whitespace)
                && let Some(room) = line.split_whitespace().next()
            {
                rooms.push(
                    room.trim_end_matches(".rs")
                        .trim_end_matches('/')
                        .to_owned(),
                );
            }
        }
        lists.push(Rooms {
            package: package.to_owned(),
            rooms,
            things,
        });
    }
    Ok(lists)
}

/// A use that the layers forbid.
#[derive(Debug, PartialEq, Eq)]
enum Offence {
    Upward { from: Place, to: String },
    ThroughRoot { from: Place },
    NotListed { room: String },
    Missing { room: String },
    Circle { files: Vec<String> },
}

/// The place of a path.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    file: String,
    line: usize,
    path: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: `{}`", self.file, self.line, self.path)
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Offence::Upward { from, to } => {
                write!(f, "{from} runs upward: {PAGE} lists `{to}` after this room")
            }
            Offence::ThroughRoot { from } => {
                write!(f, "{from} hides the room it comes from: name that room")
            }
            Offence::NotListed { room } => write!(f, "{PAGE} does not list the room `{room}`"),
            Offence::Missing { room } => write!(f, "{PAGE} lists `{room}`, which does not exist"),
            Offence::Circle { files } => {
                write!(f, "these files need each other: {}", files.join(", "))
            }
        }
    }
}

fn check(root: &Path, list: &Rooms) -> Result<Vec<Offence>> {
    let Rooms {
        package,
        rooms,
        things,
    } = list;
    let krate = Crate::read(root, package)?;
    let rank = |room: &str| rooms.iter().position(|listed| listed == room);
    let mut offences = Vec::new();
    for room in krate.rooms().filter(|room| rank(room).is_none()) {
        offences.push(Offence::NotListed {
            room: room.to_owned(),
        });
    }
    for room in rooms
        .iter()
        .filter(|room| !krate.rooms().any(|known| known == *room))
    {
        offences.push(Offence::Missing { room: room.clone() });
    }
    let uses = krate.uses();
    offences.extend(uses.iter().filter_map(|used| judge(used, &rank)));
    // A module's submodules are its parts, and may use its definitions.
    let within = uses
        .iter()
        .filter(|used| used.from_room == used.to_room && !used.of_parent);
    let arrows = within.map(|used| (used.from_file.as_str(), used.to_file.as_str()));
    let source = format!("{package}/src/");
    let is_one_thing = |files: &[&str]| {
        things.iter().any(|thing| {
            let mut files = files.iter().map(|file| file.trim_start_matches(&source));
            files.all(|file| thing.contains(file))
        })
    };
    let circles = circles(arrows).into_iter();
    offences.extend(
        circles
            .filter(|files| !is_one_thing(files))
            .map(|files| Offence::Circle {
                files: files.into_iter().map(str::to_owned).collect(),
            }),
    );
    Ok(offences)
}

fn judge(used: &Use, rank: &impl Fn(&str) -> Option<usize>) -> Option<Offence> {
    let from = || Place {
        file: used.from_file.clone(),
        line: used.line,
        path: used.path.clone(),
    };
    if used.through_root {
        return Some(Offence::ThroughRoot { from: from() });
    }
    let (below, above) = (rank(&used.from_room)?, rank(used.to_room.as_str())?);
    (above > below).then(|| Offence::Upward {
        from: from(),
        to: used.to_room.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};

    use super::*;

    /// Returns the offences of a crate of these files against these rooms.
    fn offences(listed: &[&str], files: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join("house/src").join(path);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, text).unwrap();
        }
        let page = format!("{OPENING}house\n{}\n```", listed.join("\n"));
        let lists = lists(&page).unwrap();
        let offences = check(root.path(), &lists[0]).unwrap();
        offences.iter().map(Offence::to_string).collect()
    }

    #[test]
    fn the_page_lists_rooms_lowest_first() {
        let page = "# A\n```text rooms=house\nlow/   first\n  more of it\nhigh.rs  last\n```\n";
        let lists = lists(page).unwrap();
        assert_eq!(lists[0].package, "house");
        assert_eq!(lists[0].rooms, ["low", "high"]);
    }

    #[test]
    fn a_use_downward_is_no_offence() {
        let files = [
            (
                "lib.rs",
                "mod low;\nmod high;\npub use self::{low::Low, high::High};",
            ),
            ("low.rs", "pub struct Low;"),
            ("high.rs", "use crate::low::Low;\npub struct High(Low);"),
        ];
        assert_eq!(offences(&["low", "high"], &files), Vec::<String>::new());
    }

    #[test]
    fn a_use_upward_is_named_with_its_line() {
        let files = [
            ("lib.rs", "mod low;\nmod high;"),
            (
                "low.rs",
                "// why\nuse crate::high::High;\nstruct Low(High);",
            ),
            ("high.rs", "pub struct High;"),
        ];
        let found = offences(&["low", "high"], &files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("house/src/low.rs:2: `crate::high::High` runs upward"));
    }

    #[test]
    fn a_path_inside_a_function_or_a_macro_counts() {
        let files = [
            ("lib.rs", "mod low;\nmod high;"),
            (
                "low.rs",
                "fn a() { crate::high::run() }\nfn b() { assert!(crate::high::run()) }",
            ),
            ("high.rs", "pub fn run() {}"),
        ];
        assert_eq!(offences(&["low", "high"], &files).len(), 2);
    }

    #[test]
    fn an_import_through_the_root_is_an_offence() {
        let files = [
            ("lib.rs", "mod low;\nmod high;\npub use self::low::Low;"),
            ("low.rs", "pub struct Low;"),
            ("high.rs", "use crate::Low;\npub struct High(Low);"),
        ];
        let found = offences(&["low", "high"], &files);
        assert!(
            found[0].contains("`crate::Low` hides the room"),
            "{found:?}"
        );
    }

    #[test]
    fn tests_may_look_anywhere() {
        let files = [
            ("lib.rs", "mod low;\nmod high;"),
            (
                "low.rs",
                "#[cfg(test)]\nmod tests { use crate::high::High; }",
            ),
            ("high.rs", "pub struct High;"),
        ];
        assert_eq!(offences(&["low", "high"], &files), Vec::<String>::new());
    }

    #[test]
    fn files_of_one_room_that_need_each_other_are_a_circle() {
        let files = [
            ("lib.rs", "mod room;"),
            ("room/mod.rs", "mod a;\nmod b;\npub use self::{a::A, b::B};"),
            ("room/a.rs", "use super::B;\npub struct A(B);"),
            ("room/b.rs", "use super::a::A;\npub struct B(Box<A>);"),
        ];
        let found = offences(&["room"], &files);
        assert_eq!(
            found,
            ["these files need each other: house/src/room/a.rs, house/src/room/b.rs"]
        );
    }

    #[test]
    fn the_parts_of_one_thing_may_need_each_other_where_the_page_says_why() {
        let files = [
            ("lib.rs", "mod room;"),
            ("room/mod.rs", "mod a;\nmod b;"),
            ("room/a.rs", "use super::b::B;\npub struct A(B);"),
            ("room/b.rs", "use super::a::A;\npub struct B(Box<A>);"),
        ];
        assert_eq!(offences(&["room"], &files).len(), 1);
        let named = ["room", "  one thing: a.rs b.rs: a node and its child"];
        assert_eq!(offences(&named, &files), Vec::<String>::new());
        assert!(
            lists(&format!(
                "{OPENING}house\nroom\n  one thing: a.rs b.rs\n```"
            ))
            .is_err()
        );
    }

    #[test]
    fn a_module_and_its_parts_are_no_circle() {
        let files = [
            ("lib.rs", "mod room;"),
            (
                "room/mod.rs",
                "mod part;\nuse self::part::Part;\npub struct Whole(Part);",
            ),
            (
                "room/part.rs",
                "use super::Whole;\npub struct Part(Box<Whole>);",
            ),
        ];
        assert_eq!(offences(&["room"], &files), Vec::<String>::new());
    }

    #[test]
    fn the_project_has_no_offence_and_its_macros_are_held_to_their_layers() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let lists = lists(&fs::read_to_string(root.join(PAGE)).unwrap()).unwrap();
        let packages: Vec<_> = lists.iter().map(|list| list.package.as_str()).collect();
        assert!(packages.contains(&"channel-macros"), "{packages:?}");
        for list in &lists {
            let offences = check(root, list).unwrap();
            let offences: Vec<_> = offences.iter().map(Offence::to_string).collect();
            assert_eq!(offences, Vec::<String>::new());
        }
    }

    #[test]
    fn a_stage_of_the_macros_that_uses_a_later_one_is_an_offence() {
        let files = [
            ("lib.rs", "mod block;\nmod model;"),
            (
                "block.rs",
                "use crate::{model::Role, types::peel};\npub struct Block(Role);",
            ),
            (
                "model/mod.rs",
                "use crate::block::Block;\npub struct Role;\npub struct Model(Block);",
            ),
        ];
        let found = offences(&["block", "model"], &files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("`crate::model::Role` runs upward"));
    }

    #[test]
    fn modules_of_a_client_that_import_each_other_are_a_circle() {
        let root = tempfile::tempdir().unwrap();
        create_dir_all(root.path().join("clients/a/node_modules")).unwrap();
        let files = [
            (
                "index.js",
                "import { Job } from './job.js';\nimport x from \"phoenix\";",
            ),
            ("job.js", "export * from \"../a/entry.js\";"),
            ("entry.js", "const job = await import('./job.js');"),
            ("node_modules/bad.js", "import './bad2.js'"),
            ("node_modules/bad2.js", "import './bad.js'"),
        ];
        for (path, text) in files {
            write(root.path().join("clients/a").join(path), text).unwrap();
        }
        let circles = circles_below(root.path(), "clients").unwrap();
        assert_eq!(circles, [["clients/a/entry.js", "clients/a/job.js"]]);
    }

    #[test]
    fn a_room_that_the_page_forgets_or_invents_is_an_offence() {
        let files = [("lib.rs", "mod low;"), ("low.rs", "")];
        let found = offences(&["high"], &files);
        assert!(
            found[0].contains("does not list the room `low`"),
            "{found:?}"
        );
        assert!(
            found[1].contains("lists `high`, which does not exist"),
            "{found:?}"
        );
    }
}
