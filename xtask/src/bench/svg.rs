//! Bars, in panels beside and below each other. The SVG is written by hand, since it takes the
//! reader's colours, light or dark, which no plotting crate does.

/// One bar.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    /// The text of the value beside the bar.
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Floor,
    Ours,
    Peer,
}

pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

/// The meaning of the longest bar.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// The longest value of each panel.
    Each,
    /// The longest value of all panels.
    Shared,
}

const WIDTH: f64 = 400.0;
const LABELS: f64 = 126.0;
const VALUES: f64 = 74.0;
const BARS: f64 = WIDTH - LABELS - VALUES;
const ROW: f64 = 22.0;
const TITLE: f64 = 34.0;
const GAP: f64 = 24.0;

const STYLE: &str = "\
text{font:13px system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif;fill:#1f2328}\
.title{font-weight:600;font-size:14px}.value{fill:#59636e}\
.floor{fill:#d1d9e0}.ours{fill:#0969da}.peer{fill:#818b98}.label-ours{font-weight:600}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.value{fill:#9198a1}\
.floor{fill:#3d444d}.ours{fill:#4493f8}.peer{fill:#656c76}}";

/// Returns the panels, two in a row.
pub(crate) fn panels(description: &str, panels: &[Panel], scale: Scale) -> String {
    let longest = |panel: &Panel| panel.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let of_all = panels.iter().map(longest).fold(0.0, f64::max);
    let columns = panels.len().clamp(1, 2);
    let (mut body, mut top) = (String::new(), 0.0);
    for row in panels.chunks(columns) {
        let rows = row.iter().map(|panel| panel.bars.len()).max().unwrap_or(0);
        for (at, panel) in row.iter().enumerate() {
            let most = if scale == Scale::Shared {
                of_all
            } else {
                longest(panel)
            };
            let left = at as f64 * (WIDTH + GAP);
            body += &format!("<g transform=\"translate({left},{top})\">\n");
            body += &drawn(panel, most);
            body += "</g>\n";
        }
        top += TITLE + rows as f64 * ROW + GAP;
    }
    let width = columns as f64 * (WIDTH + GAP) - GAP;
    let height = (top - GAP).max(1.0);
    let description = escaped(description);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{description}\">\n\
         <style>{STYLE}</style>\n{body}</svg>\n"
    )
}

fn drawn(panel: &Panel, most: f64) -> String {
    let title = escaped(&panel.title);
    let mut out = format!("<text class=\"title\" x=\"0\" y=\"16\">{title}</text>\n");
    for (at, bar) in panel.bars.iter().enumerate() {
        let top = TITLE + at as f64 * ROW;
        let length = if most > 0.0 {
            bar.value.max(0.0) / most * BARS
        } else {
            0.0
        };
        // A value next to nothing is still a bar.
        let length = length.max(1.5);
        let (kind, label) = match bar.kind {
            Kind::Floor => ("floor", "label"),
            Kind::Ours => ("ours", "label-ours"),
            Kind::Peer => ("peer", "label"),
        };
        let (edge, base) = (LABELS - 8.0, top + 13.0);
        let (name, text) = (escaped(&bar.label), escaped(&bar.text));
        out += &format!(
            "<text class=\"{label}\" x=\"{edge}\" y=\"{base}\" text-anchor=\"end\">{name}</text>\
             <rect class=\"{kind}\" x=\"{LABELS}\" y=\"{top}\" width=\"{length:.1}\" height=\"17\" rx=\"2\"/>\
             <text class=\"value\" x=\"{:.1}\" y=\"{base}\">{text}</text>\n",
            LABELS + length + 6.0
        );
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(values: &[f64]) -> Panel {
        let bar = |&value: &f64| Bar {
            label: "a < b".to_owned(),
            value,
            text: format!("{value} µs"),
            kind: Kind::Peer,
        };
        Panel {
            title: "echo".to_owned(),
            bars: values.iter().map(bar).collect(),
        }
    }

    #[test]
    fn the_longest_bar_of_a_panel_fills_it() {
        let svg = panels("costs", &[panel(&[1.0, 2.0]), panel(&[4.0])], Scale::Each);
        assert_eq!(svg.matches("width=\"200.0\"").count(), 2, "{svg}");
        assert_eq!(svg.matches("width=\"100.0\"").count(), 1, "{svg}");
    }

    #[test]
    fn with_a_shared_scale_bars_compare_between_panels() {
        let svg = panels("costs", &[panel(&[1.0, 2.0]), panel(&[4.0])], Scale::Shared);
        for width in ["50.0", "100.0", "200.0"] {
            assert!(svg.contains(&format!("width=\"{width}\"")), "{svg}");
        }
    }

    #[test]
    fn text_is_escaped_and_nothing_is_left_open() {
        let svg = panels(
            "\"costs\" & <more>",
            &[panel(&[0.0]), panel(&[])],
            Scale::Each,
        );
        assert!(svg.contains("a &lt; b") && svg.contains("&quot;costs&quot; &amp; &lt;more>"));
        for element in ["svg", "g", "style", "text"] {
            let opened = svg.matches(&format!("<{element}")).count();
            assert_eq!(
                opened,
                svg.matches(&format!("</{element}>")).count(),
                "{element}"
            );
        }
    }
}
