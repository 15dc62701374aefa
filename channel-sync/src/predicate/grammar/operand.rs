//! Parses operands: literals, columns, calls, parenthesized and signed expressions.

use super::super::ast::{Ast, MAX_DEPTH, Node};
use super::super::lex::Lexeme;
use super::super::words::{AGGREGATES, VALUE_FUNCTIONS, reserved};
use super::super::{Fault, PredicateError};
use super::{NOT, OTHER, Parser, SIGN};

impl Parser {
    pub(super) fn prefix(&mut self) -> Result<Ast, PredicateError> {
        let token = self.advance();
        let at = token.at;
        match token.lexeme {
            Lexeme::Number(digits) => {
                let whole = digits.bytes().all(|b| b.is_ascii_digit());
                let node = if whole {
                    Node::Integer(digits)
                } else {
                    Node::Decimal(digits)
                };
                self.ast(at, 0, node)
            }
            Lexeme::Text(text) => self.ast(at, 0, Node::Text(text)),
            Lexeme::Param(number) => self.ast(at, 0, Node::Param(number)),
            Lexeme::Quoted(name) => self.reference(name, at, true),
            Lexeme::Word(word) => self.word_prefix(word, at),
            Lexeme::Sign(sign) => match sign.as_str() {
                "(" => {
                    if self.is_word("select") {
                        return Err(PredicateError::at(at, Fault::Subquery));
                    }
                    let inner = self.expression(0)?;
                    if self.is_sign(",") {
                        return Err(PredicateError::at(at, Fault::Unsupported("RowExpr")));
                    }
                    self.expect(")")?;
                    // Parentheses end a chain of AND or OR, but change nothing else.
                    Ok(inner)
                }
                "+" | "-" => {
                    let of = self.expression(SIGN)?;
                    let below = of.depth;
                    self.ast(at, below, Node::Unary(sign, Box::new(of)))
                }
                "|/" | "||/" | "@" | "~" | "!!" => {
                    let of = self.expression(OTHER + 1)?;
                    let below = of.depth;
                    self.ast(at, below, Node::Unary(sign, Box::new(of)))
                }
                _ => {
                    self.next -= 1;
                    Err(self.near())
                }
            },
            Lexeme::End => {
                self.next -= 1;
                Err(self.near())
            }
        }
    }

    fn word_prefix(&mut self, word: String, at: usize) -> Result<Ast, PredicateError> {
        match word.as_str() {
            "not" => {
                let of = self.expression(NOT)?;
                let below = of.depth;
                self.ast(at, below, Node::Not(Box::new(of)))
            }
            "null" => self.ast(at, 0, Node::Null),
            "true" => self.ast(at, 0, Node::Bool(true)),
            "false" => self.ast(at, 0, Node::Bool(false)),
            "case" => Err(PredicateError::at(at, Fault::Unsupported("CaseExpr"))),
            "exists" => Err(PredicateError::at(at, Fault::Subquery)),
            "cast" if self.is_sign("(") => {
                self.advance();
                let of = self.expression(0)?;
                self.expect_word("as")?;
                let ty = self.type_name()?;
                self.expect(")")?;
                let below = of.depth;
                self.ast(at, below, Node::Cast(Box::new(of), ty))
            }
            "array" if self.is_sign("[") => {
                self.advance();
                self.array(at)
            }
            // `date '2024-01-01'`, `interval '1 day'`.
            _ if matches!(self.peek().lexeme, Lexeme::Text(_)) && !reserved(&word) => {
                let literal = self.advance();
                let Lexeme::Text(text) = literal.lexeme else {
                    return Err(self.near());
                };
                let of = self.ast(literal.at, 0, Node::Text(text))?;
                self.ast(at, 1, Node::Cast(Box::new(of), word))
            }
            _ if VALUE_FUNCTIONS.contains(&word.as_str()) => Err(PredicateError::at(
                at,
                Fault::Unsupported("SQLValueFunction"),
            )),
            _ if reserved(&word) => {
                self.next -= 1;
                Err(self.near())
            }
            _ => self.reference(word, at, false),
        }
    }

    /// `ARRAY[…]`, whose inner brackets may come without the word.
    fn array(&mut self, at: usize) -> Result<Ast, PredicateError> {
        let mut items = Vec::new();
        if !self.sign("]") {
            loop {
                let inner = self.peek().at;
                let item = if self.sign("[") {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(PredicateError::at(inner, Fault::TooDeep));
                    }
                    let item = self.array(inner)?;
                    self.depth -= 1;
                    item
                } else {
                    self.expression(0)?
                };
                items.push(item);
                if self.sign("]") {
                    break;
                }
                self.expect(",")?;
            }
        }
        let below = items.iter().map(|a| a.depth).max().unwrap_or(0);
        self.ast(at, below, Node::Array(items))
    }

    /// A column, perhaps with its table before it, or a call.
    fn reference(&mut self, first: String, at: usize, quoted: bool) -> Result<Ast, PredicateError> {
        if !quoted && self.sign("(") {
            return self.call(first, at);
        }
        let mut parts = vec![first];
        while self.sign(".") {
            match self.advance().lexeme {
                Lexeme::Word(name) | Lexeme::Quoted(name) => parts.push(name),
                _ => {
                    self.next -= 1;
                    return Err(self.near());
                }
            }
        }
        self.ast(at, 0, Node::Column(parts))
    }

    fn call(&mut self, name: String, at: usize) -> Result<Ast, PredicateError> {
        if AGGREGATES.contains(&name.as_str()) {
            return Err(PredicateError::at(at, Fault::Aggregate));
        }
        let mut args = Vec::new();
        if !self.sign(")") {
            loop {
                args.push(self.expression(0)?);
                if self.sign(")") {
                    break;
                }
                // `substring(v from 1 for 1)` is a call with three arguments.
                if !(self.word("from") || self.word("for")) {
                    self.expect(",")?;
                }
            }
        }
        let below = args.iter().map(|a| a.depth).max().unwrap_or(0);
        self.ast(at, below, Node::Call(name, args))
    }

    pub(super) fn type_name(&mut self) -> Result<String, PredicateError> {
        let token = self.advance();
        let mut name = match token.lexeme {
            Lexeme::Word(name) if !reserved(&name) => name,
            Lexeme::Quoted(name) => name,
            _ => {
                self.next -= 1;
                return Err(self.near());
            }
        };
        match name.as_str() {
            "double" => {
                self.expect_word("precision")?;
                name = "float8".into();
            }
            "character" if self.word("varying") => name = "varchar".into(),
            "time" | "timestamp" if self.word("with") => {
                self.expect_word("time")?;
                self.expect_word("zone")?;
                name.push_str("tz");
            }
            "time" | "timestamp" if self.word("without") => {
                self.expect_word("time")?;
                self.expect_word("zone")?;
            }
            _ => {}
        }
        if self.is_sign("(") || self.is_sign(".") {
            let what = "a type with a schema or a modifier";
            return Err(PredicateError::at(self.peek().at, Fault::Unsupported(what)));
        }
        while self.sign("[") {
            if matches!(self.peek().lexeme, Lexeme::Number(_)) {
                self.advance();
            }
            self.expect("]")?;
            if !name.ends_with("[]") {
                name.push_str("[]");
            }
        }
        Ok(name)
    }
}
