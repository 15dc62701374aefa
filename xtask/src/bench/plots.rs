//! The plots of the figures.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::{
    cases::{CASES, SERVERS, Unit, floor},
    figures::Figures,
    markdown::amount,
    svg::{Bar, Kind, Panel, Scale, panels},
};

/// Writes the plots into a folder.
pub(crate) fn write(figures: &Figures, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let cpu = ["fanout-1", "fanout-16", "rate-50", "echo"].map(|case| servers(figures, case));
    let others = ["idle", "storm"].map(|case| servers(figures, case));
    for (name, description, content, scale) in [
        (
            "cpu.svg",
            "Server CPU time for each delivery or reply",
            &cpu[..],
            Scale::Each,
        ),
        (
            "connections.svg",
            "Memory of an idle socket, and CPU time of a join",
            &others,
            Scale::Each,
        ),
        (
            "growth.svg",
            "CPU time for each delivery, by number of subscribers",
            &growth(figures),
            Scale::Shared,
        ),
    ] {
        let file = folder.join(name);
        fs::write(&file, panels(description, content, scale))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Returns the panel of a case, with a bar for each server that could be measured.
fn servers(figures: &Figures, name: &str) -> Panel {
    let case = CASES.iter().find(|case| case.name == name);
    let (title, unit) = case.map_or((name, Unit::Cpu), |case| (case.title, case.unit));
    let shown = SERVERS
        .iter()
        .filter(|server| !server.starts_with("floor") || **server == floor(name));
    let bars = shown.filter_map(|server| bar(figures, name, server, server, unit));
    Panel {
        title: title.to_owned(),
        bars: bars.collect(),
    }
}

/// Returns a panel for each server, with a bar for each number of subscribers.
fn growth(figures: &Figures) -> Vec<Panel> {
    const SIZES: [(&str, &str); 3] = [
        ("fanout-1-of-100", "100"),
        ("fanout-1", "1,000"),
        ("fanout-1-of-10000", "10,000"),
    ];
    let servers = [
        "floor",
        "ours",
        "by-hand",
        "socketioxide",
        "socket.io",
        "ws",
    ];
    let panel = |server: &str| {
        let bars = SIZES
            .iter()
            .filter_map(|(case, label)| bar(figures, case, server, label, Unit::Cpu));
        Panel {
            title: format!("{server}, by number of subscribers"),
            bars: bars.collect(),
        }
    };
    servers.map(panel).into()
}

fn bar(figures: &Figures, case: &str, server: &str, label: &str, unit: Unit) -> Option<Bar> {
    let value = figures.cost(case, server, unit)?;
    let kind = match server {
        "ours" => Kind::Ours,
        _ if server.starts_with("floor") => Kind::Floor,
        _ => Kind::Peer,
    };
    Some(Bar {
        label: label.to_owned(),
        value,
        text: amount(value, unit),
        kind,
    })
}
