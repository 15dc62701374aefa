//! Makes text of a client, a node or an error safe for a log line or an error message.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

/// The maximum size of one value, in bytes before escaping.
const MOST: usize = 512;

/// Wraps a value so that its text is bounded, fits on one line and cannot control a terminal.
/// Control characters, line separators and changes of direction are escaped. Text of more than 512
/// bytes is cut off, followed by its size. For every field that is written with `%`.
pub(crate) fn shown<T: fmt::Display + ?Sized>(value: &T) -> Shown<'_, T> {
    Shown { value, most: MOST }
}

/// As [`shown`], with a different limit.
pub(crate) fn shown_to<T: fmt::Display + ?Sized>(value: &T, most: usize) -> Shown<'_, T> {
    Shown { value, most }
}

/// As [`shown`], for fields that are text; borrows the text if it is harmless.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    match text.len() <= MOST && !text.chars().any(acts) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(shown(text).to_string()),
    }
}

/// See [`shown`].
pub(crate) struct Shown<'a, T: ?Sized> {
    value: &'a T,
    most: usize,
}

impl<T: fmt::Display + ?Sized> fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line {
            out: f,
            left: self.most,
            cut: false,
            len: 0,
        };
        write!(line, "{}", self.value)?;
        let (cut, len) = (line.cut, line.len);
        if cut {
            write!(f, "… [{len} bytes]")?;
        }
        Ok(())
    }
}

/// A writer that escapes its text, as far as there is room.
struct Line<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    left: usize,
    cut: bool,
    /// The total size of the text, in bytes.
    len: usize,
}

impl fmt::Write for Line<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.len += text.len();
        if self.cut {
            return Ok(());
        }
        let end = match text.len() > self.left {
            true => text.floor_char_boundary(self.left),
            false => text.len(),
        };
        self.cut = end < text.len();
        self.left -= end;
        let mut plain = 0;
        for (at, char) in text[..end].char_indices().filter(|(_, char)| acts(*char)) {
            self.out.write_str(&text[plain..at])?;
            write!(self.out, "{}", char.escape_default())?;
            plain = at + char.len_utf8();
        }
        self.out.write_str(&text[plain..end])
    }
}

/// Returns true if a character acts instead of being visible: if it ends a line, starts a terminal
/// command, changes the direction of the following text, or hides.
fn acts(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_all_else_is_left_alone() {
        let harmless = r#"room:"ünï" \ 🔥 👩‍💻 日本 هلا"#;
        assert_eq!(shown(harmless).to_string(), harmless);
        assert!(matches!(line(harmless), Cow::Borrowed(_)));
        let hostile = "a\nb\r\t\0\x1b[2J\x7f\u{9b}2J\u{85}\u{2028}\u{2029}\u{202e}\u{2066}z";
        let escaped =
            r"a\nb\r\t\u{0}\u{1b}[2J\u{7f}\u{9b}2J\u{85}\u{2028}\u{2029}\u{202e}\u{2066}z";
        assert_eq!(shown(hostile).to_string(), escaped);
        assert_eq!(line(hostile), escaped);
    }

    #[test]
    fn a_long_value_is_cut_at_a_character_and_says_its_length() {
        let long = "ü".repeat(600);
        let expected = format!("{}… [1200 bytes]", "ü".repeat(256));
        assert_eq!(shown(&long).to_string(), expected);
        assert_eq!(line(&long), expected);
        // The limit also counts across several writes.
        let pieces = format_args!("{}{}{}", "x".repeat(511), "ü", "y").to_string();
        assert!(shown(&pieces).to_string().ends_with("x… [514 bytes]"));
        let exact = "x".repeat(512);
        assert_eq!(shown(&exact).to_string(), exact);
    }
}
