//! The grammar of an expression, with Postgres' precedences. What it does not know, it refuses:
//! it is the list of what is admitted.
//!
//! sqlparser's own parser is not used for this, because it binds some operators otherwise than
//! Postgres (`-2 ^ 2`, `a || b + c`, `NOT a IS NULL`), and what is bound otherwise gives other rows.

use super::lex::{Lexed, Lexeme, lex};
use super::{Fault, PredicateError};

/// Parentheses, operators and calls within each other. AND, OR and lists count once.
pub(super) const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct Ast {
    pub(super) node: Node,
    pub(super) at: usize,
    depth: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Column(Vec<String>),
    Integer(String),
    Decimal(String),
    Text(String),
    Null,
    Bool(bool),
    Param(usize),
    Not(Box<Ast>),
    And(Vec<Ast>),
    Or(Vec<Ast>),
    Unary(String, Box<Ast>),
    Binary(String, Box<Ast>, Box<Ast>),
    Is(Box<Ast>, Test, bool),
    Distinct(Box<Ast>, Box<Ast>, bool),
    In(Box<Ast>, Vec<Ast>, bool),
    Between {
        of: Box<Ast>,
        low: Box<Ast>,
        high: Box<Ast>,
        symmetric: bool,
        negated: bool,
    },
    Like {
        of: Box<Ast>,
        pattern: Box<Ast>,
        fold: bool,
        negated: bool,
    },
    Quantified {
        left: Box<Ast>,
        operator: String,
        array: Box<Ast>,
        all: bool,
    },
    Cast(Box<Ast>, String),
    Call(String, Vec<Ast>),
    Array(Vec<Ast>),
    Index(Box<Ast>, Vec<Ast>),
    Slice(Box<Ast>, Option<Box<Ast>>, Option<Box<Ast>>),
    Zone(Box<Ast>, Box<Ast>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    Null,
    True,
    False,
    Unknown,
}

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

/// Words that Postgres reserves: they are never column names unless they are quoted.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "lateral",
    "leading",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "placing",
    "primary",
    "references",
    "returning",
    "select",
    "some",
    "symmetric",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "when",
    "where",
    "window",
    "with",
];

const VALUE_FUNCTIONS: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
];

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

    fn infix(&mut self, left: Ast, level: u8) -> Result<Ast, PredicateError> {
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

    fn prefix(&mut self) -> Result<Ast, PredicateError> {
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
        const AGGREGATES: &[&str] = &[
            "array_agg",
            "avg",
            "bool_and",
            "bool_or",
            "count",
            "every",
            "json_agg",
            "jsonb_agg",
            "max",
            "min",
            "string_agg",
            "sum",
        ];
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

    fn type_name(&mut self) -> Result<String, PredicateError> {
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

fn reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}
