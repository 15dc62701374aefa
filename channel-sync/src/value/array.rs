//! Arrays: `{1,NULL,"a b"}`, with any number of dimensions and, before them, their bounds.

use super::{InvalidText, Type, Value};
use std::cmp::Ordering;

/// Postgres allows six dimensions.
const MAX_DIMENSIONS: usize = 6;

#[derive(Debug, Clone)]
pub(crate) struct Array {
    /// Length and lower bound of each dimension; none when the array is empty.
    pub(crate) dims: Vec<(usize, i32)>,
    /// All elements in order.
    pub(crate) items: Vec<Value>,
}

impl Array {
    pub(crate) fn one_dimension(items: Vec<Value>) -> Array {
        Array {
            dims: if items.is_empty() {
                vec![]
            } else {
                vec![(items.len(), 1)]
            },
            items,
        }
    }

    pub(super) fn parse(text: &str, element: &Type) -> Result<Array, InvalidText> {
        let (bounds, body) = match text.strip_prefix('[') {
            Some(_) => text.split_once('=').ok_or(InvalidText)?,
            None => ("", text),
        };
        let mut parser = Parser {
            rest: body.trim(),
            element,
            dims: vec![],
            items: vec![],
            lengths: vec![],
        };
        parser.level(0)?;
        if !parser.rest.is_empty() {
            return Err(InvalidText);
        }
        let mut dims: Vec<_> = parser
            .lengths
            .iter()
            .map(|length| (length.unwrap_or(0), 1))
            .collect();
        if parser.items.is_empty() {
            dims.clear();
        }
        let items = parser.items;
        if !bounds.is_empty() {
            let mut places = dims.iter_mut();
            for bound in bounds.split_inclusive(']') {
                let bound = bound.strip_prefix('[').and_then(|b| b.strip_suffix(']'));
                let (low, high) = bound.and_then(|b| b.split_once(':')).ok_or(InvalidText)?;
                let low: i32 = low.parse().map_err(|_| InvalidText)?;
                let high: i32 = high.parse().map_err(|_| InvalidText)?;
                let place = places.next().ok_or(InvalidText)?;
                if i64::from(high) - i64::from(low) + 1 != place.0 as i64 {
                    return Err(InvalidText);
                }
                place.1 = low;
            }
            if places.next().is_some() {
                return Err(InvalidText);
            }
        }
        Ok(Array { dims, items })
    }

    pub(super) fn to_text(&self, element: &Type) -> String {
        let mut out = String::new();
        if self.dims.iter().any(|(_, low)| *low != 1) {
            for (length, low) in &self.dims {
                out.push_str(&format!("[{low}:{}]", i64::from(*low) + *length as i64 - 1));
            }
            out.push('=');
        }
        if self.dims.is_empty() {
            out.push_str("{}");
        } else {
            self.write(&mut out, element, 0, &mut self.items.iter());
        }
        out
    }

    fn write(
        &self,
        out: &mut String,
        element: &Type,
        level: usize,
        items: &mut std::slice::Iter<'_, Value>,
    ) {
        out.push('{');
        for i in 0..self.dims[level].0 {
            if i > 0 {
                out.push(',');
            }
            if level + 1 < self.dims.len() {
                self.write(out, element, level + 1, items);
            } else if let Some(text) = items.next().map(|item| item.to_text(element)) {
                match text {
                    None => out.push_str("NULL"),
                    Some(text) => push_quoted(out, &text),
                }
            }
        }
        out.push('}');
    }

    /// Element by element, then the number of elements, dimensions and bounds; nulls come last.
    pub(super) fn order(&self, other: &Array, element: &Type) -> Ordering {
        for (a, b) in self.items.iter().zip(&other.items) {
            let order = match (a.is_null(), b.is_null()) {
                (false, false) => a.order(b, element),
                (a, b) => a.cmp(&b),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        self.items
            .len()
            .cmp(&other.items.len())
            .then_with(|| self.dims.len().cmp(&other.dims.len()))
            .then_with(|| self.dims.cmp(&other.dims))
    }

    /// Returns true if every element of `other` is an element of this array; a null never is.
    pub(crate) fn contains(&self, other: &Array, element: &Type) -> bool {
        other.items.iter().all(|wanted| self.has(wanted, element))
    }

    /// Returns true if at least one element is in both.
    pub(crate) fn overlaps(&self, other: &Array, element: &Type) -> bool {
        other.items.iter().any(|wanted| self.has(wanted, element))
    }

    fn has(&self, wanted: &Value, element: &Type) -> bool {
        !wanted.is_null()
            && self
                .items
                .iter()
                .any(|item| !item.is_null() && item.order(wanted, element) == Ordering::Equal)
    }
}

fn push_quoted(out: &mut String, text: &str) {
    let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || is_space(c);
    if text.is_empty() || text.eq_ignore_ascii_case("null") || text.contains(special) {
        out.push('"');
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    } else {
        out.push_str(text);
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

struct Parser<'a> {
    rest: &'a str,
    element: &'a Type,
    dims: Vec<usize>,
    items: Vec<Value>,
    /// The length of each dimension, once its first part is read.
    lengths: Vec<Option<usize>>,
}

impl Parser<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    fn take(&mut self, c: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn level(&mut self, level: usize) -> Result<(), InvalidText> {
        if level == MAX_DIMENSIONS || !self.take('{') {
            return Err(InvalidText);
        }
        if self.lengths.len() == level {
            // A dimension below the elements is one that other parts do not have.
            if !self.items.is_empty() {
                return Err(InvalidText);
            }
            self.lengths.push(None);
        }
        let mut count = 0;
        if !self.take('}') {
            loop {
                self.skip();
                if self.rest.starts_with('{') {
                    self.level(level + 1)?;
                } else {
                    if self.lengths.len() != level + 1 {
                        return Err(InvalidText);
                    }
                    let item = self.item()?;
                    self.items.push(item);
                }
                count += 1;
                if self.take('}') {
                    break;
                }
                if !self.take(',') {
                    return Err(InvalidText);
                }
            }
        }
        self.skip();
        match self.lengths[level] {
            None => self.lengths[level] = Some(count),
            Some(length) if length == count => {}
            Some(_) => return Err(InvalidText),
        }
        self.dims.truncate(level);
        Ok(())
    }

    fn item(&mut self) -> Result<Value, InvalidText> {
        let mut text = String::new();
        if let Some(rest) = self.rest.strip_prefix('"') {
            let mut chars = rest.char_indices();
            loop {
                match chars.next().ok_or(InvalidText)? {
                    (_, '\\') => text.push(chars.next().ok_or(InvalidText)?.1),
                    (at, '"') => {
                        self.rest = &rest[at + 1..];
                        break;
                    }
                    (_, c) => text.push(c),
                }
            }
            return Value::parse(&text, self.element);
        }
        let mut chars = self.rest.char_indices();
        let end = loop {
            match chars.next().ok_or(InvalidText)? {
                (at, ',' | '}') => break at,
                (_, '\\') => text.push(chars.next().ok_or(InvalidText)?.1),
                (_, '{' | '"') => return Err(InvalidText),
                (_, c) => text.push(c),
            }
        };
        self.rest = &self.rest[end..];
        let text = text.trim_end_matches(is_space);
        if text.is_empty() {
            return Err(InvalidText);
        }
        if text.eq_ignore_ascii_case("null") {
            return Ok(Value::Null);
        }
        Value::parse(text, self.element)
    }
}
