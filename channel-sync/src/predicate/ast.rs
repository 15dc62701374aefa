//! Expressions as they are written, before their types are known.

/// Parentheses, operators and calls within each other. AND, OR and lists count once.
pub(super) const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct Ast {
    pub(super) node: Node,
    pub(super) at: usize,
    /// How deep it is.
    pub(super) depth: usize,
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
