//! Parses what follows a first operand: operators, tests, lists, subscripts.

use super::super::ast::{Ast, Node, Test};
use super::super::lex::{Lexed, Lexeme};
use super::super::{Fault, PredicateError};
use super::{
    AND, COLLATE, COMPARISON, IS, MATCH, OR, OTHER, POWER, PRODUCT, Parser, SUBSCRIPT, SUM, ZONE,
};

impl Parser {
    pub(super) fn infix(&mut self, left: Ast, level: u8) -> Result<Ast, PredicateError> {
        let token = self.advance();
        let at = token.at;
        match level {
            OR | AND => {
                let right = self.expression(level + 1)?;
                let (mut items, start, below) = match (left, level) {
                    // A chain is one node, however long it is.
                    (
                        Ast {
                            node: Node::Or(items),
                            at,
                            depth,
                        },
                        OR,
                    ) => (items, at, depth - 1),
                    (
                        Ast {
                            node: Node::And(items),
                            at,
                            depth,
                        },
                        AND,
                    ) => (items, at, depth - 1),
                    (left, _) => {
                        let depth = left.depth;
                        (vec![left], at, depth)
                    }
                };
                let below = below.max(right.depth);
                items.push(right);
                let node = if level == OR {
                    Node::Or(items)
                } else {
                    Node::And(items)
                };
                self.ast(start, below, node)
            }
            IS => self.is_test(left, &token),
            COMPARISON => {
                let Lexeme::Sign(operator) = token.lexeme else {
                    return Err(self.near());
                };
                if self.is_word("any") || self.is_word("some") || self.is_word("all") {
                    let all = self.is_word("all");
                    self.advance();
                    self.expect("(")?;
                    if self.is_word("select") {
                        return Err(PredicateError::at(self.peek().at, Fault::Subquery));
                    }
                    let array = self.expression(0)?;
                    self.expect(")")?;
                    let below = left.depth.max(array.depth);
                    let (left, array) = (Box::new(left), Box::new(array));
                    return self.ast(
                        at,
                        below,
                        Node::Quantified {
                            left,
                            operator,
                            array,
                            all,
                        },
                    );
                }
                let right = self.expression(level + 1)?;
                self.binary(at, operator, left, right)
            }
            MATCH => self.matching(left, token),
            OTHER | SUM | PRODUCT | POWER => {
                let Lexeme::Sign(operator) = token.lexeme else {
                    return Err(self.near());
                };
                let right = self.expression(level + 1)?;
                self.binary(at, operator, left, right)
            }
            ZONE => {
                self.expect_word("time")?;
                self.expect_word("zone")?;
                let zone = self.expression(level + 1)?;
                let below = left.depth.max(zone.depth);
                self.ast(at, below, Node::Zone(Box::new(left), Box::new(zone)))
            }
            COLLATE => Err(PredicateError::at(at, Fault::Unsupported("CollateClause"))),
            SUBSCRIPT => self.subscript(left, at),
            _ => {
                let ty = self.type_name()?;
                let below = left.depth;
                self.ast(at, below, Node::Cast(Box::new(left), ty))
            }
        }
    }

    fn binary(&self, at: usize, op: String, left: Ast, right: Ast) -> Result<Ast, PredicateError> {
        let below = left.depth.max(right.depth);
        self.ast(at, below, Node::Binary(op, Box::new(left), Box::new(right)))
    }

    fn is_test(&mut self, left: Ast, token: &Lexed) -> Result<Ast, PredicateError> {
        let below = left.depth;
        let at = token.at;
        match &token.lexeme {
            Lexeme::Word(w) if w == "isnull" => {
                return self.ast(at, below, Node::Is(Box::new(left), Test::Null, false));
            }
            Lexeme::Word(w) if w == "notnull" => {
                return self.ast(at, below, Node::Is(Box::new(left), Test::Null, true));
            }
            _ => {}
        }
        let negated = self.word("not");
        if self.word("distinct") {
            self.expect_word("from")?;
            let right = self.expression(IS + 1)?;
            let below = below.max(right.depth);
            return self.ast(
                at,
                below,
                Node::Distinct(Box::new(left), Box::new(right), negated),
            );
        }
        let test = match () {
            () if self.word("null") => Test::Null,
            () if self.word("true") => Test::True,
            () if self.word("false") => Test::False,
            () if self.word("unknown") => Test::Unknown,
            () => return Err(self.near()),
        };
        self.ast(at, below, Node::Is(Box::new(left), test, negated))
    }

    fn matching(&mut self, left: Ast, token: Lexed) -> Result<Ast, PredicateError> {
        let at = token.at;
        let mut token = token;
        let negated = token.lexeme == Lexeme::Word("not".into());
        if negated {
            token = self.advance();
        }
        let Lexeme::Word(word) = token.lexeme else {
            return Err(self.near());
        };
        let of = Box::new(left);
        match word.as_str() {
            "in" => {
                self.expect("(")?;
                if self.word("select") {
                    let plain = matches!(self.peek().lexeme, Lexeme::Word(_) | Lexeme::Quoted(_));
                    let fault = if plain {
                        Fault::Subquery
                    } else {
                        Fault::PlainColumn
                    };
                    return Err(PredicateError::at(self.peek().at, fault));
                }
                let list = self.list(")")?;
                if list.is_empty() {
                    self.next -= 1;
                    return Err(self.near());
                }
                let below = list
                    .iter()
                    .map(|a| a.depth)
                    .max()
                    .unwrap_or(0)
                    .max(of.depth);
                self.ast(at, below, Node::In(of, list, negated))
            }
            "between" => {
                let symmetric = self.word("symmetric");
                if !symmetric {
                    self.word("asymmetric");
                }
                let low = Box::new(self.expression(OTHER)?);
                self.expect_word("and")?;
                let high = Box::new(self.expression(OTHER)?);
                // It becomes two or four comparisons, under AND and OR.
                let below = of.depth.max(low.depth).max(high.depth) + 2;
                self.ast(
                    at,
                    below,
                    Node::Between {
                        of,
                        low,
                        high,
                        symmetric,
                        negated,
                    },
                )
            }
            "like" | "ilike" => {
                let pattern = Box::new(self.expression(OTHER)?);
                if self.is_word("escape") {
                    return Err(PredicateError::at(
                        self.peek().at,
                        Fault::Unsupported("ESCAPE"),
                    ));
                }
                let below = of.depth.max(pattern.depth);
                self.ast(
                    at,
                    below,
                    Node::Like {
                        of,
                        pattern,
                        fold: word == "ilike",
                        negated,
                    },
                )
            }
            _ => {
                let name = "similar_to_escape".to_owned();
                Err(PredicateError::at(
                    at,
                    Fault::UnknownFunction { name, args: 1 },
                ))
            }
        }
    }

    /// Expressions between commas, up to and with the closing sign.
    fn list(&mut self, close: &str) -> Result<Vec<Ast>, PredicateError> {
        let mut items = Vec::new();
        if self.sign(close) {
            return Ok(items);
        }
        loop {
            items.push(self.expression(0)?);
            if self.sign(close) {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }

    fn subscript(&mut self, left: Ast, at: usize) -> Result<Ast, PredicateError> {
        let mut below = left.depth;
        let low = if self.is_sign(":") {
            None
        } else {
            Some(self.expression(0)?)
        };
        below = below.max(low.as_ref().map_or(0, |a| a.depth));
        if self.sign(":") {
            let high = if self.is_sign("]") {
                None
            } else {
                Some(self.expression(0)?)
            };
            self.expect("]")?;
            if self.is_sign("[") {
                let fault = Fault::Unsupported("a slice of several dimensions");
                return Err(PredicateError::at(self.peek().at, fault));
            }
            below = below.max(high.as_ref().map_or(0, |a| a.depth));
            let node = Node::Slice(Box::new(left), low.map(Box::new), high.map(Box::new));
            return self.ast(at, below, node);
        }
        self.expect("]")?;
        let Some(index) = low else {
            return Err(self.near());
        };
        match left {
            Ast {
                node: Node::Index(of, mut indexes),
                at,
                ..
            } if indexes.len() < 6 => {
                indexes.push(index);
                self.ast(at, below, Node::Index(of, indexes))
            }
            left => self.ast(at, below, Node::Index(Box::new(left), vec![index])),
        }
    }
}
