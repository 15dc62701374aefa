//! The grammar of an expression, with Postgres' precedences. What it does not know, it refuses:
//! it is the list of what is admitted.
//!
//! sqlparser's own parser is not used for this, because it binds some operators otherwise than
//! Postgres (`-2 ^ 2`, `a || b + c`, `NOT a IS NULL`), and what is bound otherwise gives other rows.

mod infix;
mod operand;

use super::ast::{Ast, MAX_DEPTH, Node};
use super::lex::{Lexed, Lexeme, lex};
use super::{Fault, PredicateError};

// Postgres' levels, weakest first.
const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const IS: u8 = 4;
const COMPARISON: u8 = 5;
const MATCH: u8 = 6;
const OTHER: u8 = 7;
const SUM: u8 = 8;
const PRODUCT: u8 = 9;
const POWER: u8 = 10;
const ZONE: u8 = 11;
const COLLATE: u8 = 12;
const SIGN: u8 = 13;
const SUBSCRIPT: u8 = 14;
const CAST: u8 = 15;

/// Reads the whole text as one expression.
pub(super) fn parse(text: &str) -> Result<Ast, PredicateError> {
    let mut parser = Parser {
        tokens: lex(text)?,
        next: 0,
        depth: 0,
    };
    let ast = parser.expression(0)?;
    if parser.peek().lexeme != Lexeme::End {
        return Err(parser.near());
    }
    Ok(ast)
}

/// A column with `ASC` or `DESC`, and `NULLS FIRST` or `NULLS LAST`.
pub(super) struct OrderItem {
    pub(super) of: Ast,
    pub(super) descending: bool,
    pub(super) nulls_first: Option<bool>,
}

/// Reads the whole text as an `ORDER BY` list.
pub(super) fn parse_order(text: &str) -> Result<Vec<OrderItem>, PredicateError> {
    let mut parser = Parser {
        tokens: lex(text)?,
        next: 0,
        depth: 0,
    };
    let mut items = Vec::new();
    loop {
        let of = parser.expression(0)?;
        let descending = parser.word("desc");
        if !descending {
            parser.word("asc");
        }
        let nulls_first = if parser.word("nulls") {
            let first = parser.word("first");
            if !first && !parser.word("last") {
                return Err(parser.near());
            }
            Some(first)
        } else {
            None
        };
        items.push(OrderItem {
            of,
            descending,
            nulls_first,
        });
        if !parser.sign(",") {
            break;
        }
    }
    if parser.peek().lexeme != Lexeme::End {
        return Err(parser.near());
    }
    Ok(items)
}

struct Parser {
    tokens: Vec<Lexed>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Lexed {
        // The last token is the end, and nothing steps over it.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn advance(&mut self) -> Lexed {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.peek().lexeme, Lexeme::Word(w) if w == word)
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(&self.peek().lexeme, Lexeme::Sign(s) if s == sign)
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.next += usize::from(found);
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<(), PredicateError> {
        if self.word(word) {
            Ok(())
        } else {
            Err(self.near())
        }
    }

    fn expect(&mut self, sign: &str) -> Result<(), PredicateError> {
        if self.sign(sign) {
            Ok(())
        } else {
            Err(self.near())
        }
    }

    fn near(&self) -> PredicateError {
        let token = self.peek();
        match token.lexeme {
            Lexeme::End => PredicateError::at(token.at, Fault::End),
            _ => PredicateError::at(token.at, Fault::Near(token.written.clone())),
        }
    }

    fn ast(&self, at: usize, below: usize, node: Node) -> Result<Ast, PredicateError> {
        let depth = below + 1;
        if depth > MAX_DEPTH {
            return Err(PredicateError::at(at, Fault::TooDeep));
        }
        Ok(Ast { node, at, depth })
    }

    /// An expression of operators that bind at least as strongly as `least`.
    fn expression(&mut self, least: u8) -> Result<Ast, PredicateError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(PredicateError::at(self.peek().at, Fault::TooDeep));
        }
        let mut left = self.prefix()?;
        // A level at which operators do not follow each other: `a = b = c` is an error.
        let mut closed = None;
        while let Some(level) = self.infix_level() {
            if level < least {
                break;
            }
            if closed == Some(level) {
                return Err(self.near());
            }
            left = self.infix(left, level)?;
            closed = matches!(level, IS | COMPARISON | MATCH).then_some(level);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn infix_level(&self) -> Option<u8> {
        Some(match &self.peek().lexeme {
            Lexeme::Word(word) => match word.as_str() {
                "or" => OR,
                "and" => AND,
                "is" | "isnull" | "notnull" => IS,
                "in" | "between" | "like" | "ilike" | "similar" => MATCH,
                "not" => match self.tokens.get(self.next + 1).map(|t| &t.lexeme) {
                    Some(Lexeme::Word(w))
                        if matches!(
                            w.as_str(),
                            "in" | "between" | "like" | "ilike" | "similar"
                        ) =>
                    {
                        MATCH
                    }
                    _ => return None,
                },
                "at" => ZONE,
                "collate" => COLLATE,
                _ => return None,
            },
            Lexeme::Sign(sign) => match sign.as_str() {
                "=" | "<" | ">" | "<=" | ">=" | "<>" => COMPARISON,
                "+" | "-" => SUM,
                "*" | "/" | "%" => PRODUCT,
                "^" => POWER,
                "[" => SUBSCRIPT,
                "::" => CAST,
                "(" | ")" | "]" | "," | "." | ":" | ":=" | "{" | "}" | "\\" => return None,
                _ => OTHER,
            },
            _ => return None,
        })
    }
}
