//! Tokens, by sqlparser's tokenizer for Postgres, each with its place in the text.

use super::{Fault, PredicateError};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Token, Tokenizer};

/// A longer text is refused before it is read.
pub(super) const MAX_LENGTH: usize = 256 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Lexeme {
    /// An unquoted word, in lower case: a keyword, or an identifier.
    Word(String),
    Quoted(String),
    Number(String),
    Text(String),
    Param(usize),
    /// An operator or a sign of punctuation.
    Sign(String),
    End,
}

#[derive(Debug, Clone)]
pub(super) struct Lexed {
    pub(super) lexeme: Lexeme,
    /// Characters before it.
    pub(super) at: usize,
    /// As it was written, for messages.
    pub(super) written: String,
}

/// The text's tokens, without spaces and comments; the last is the end.
pub(super) fn lex(text: &str) -> Result<Vec<Lexed>, PredicateError> {
    if text.len() > MAX_LENGTH {
        return Err(PredicateError::whole(Fault::TooLong));
    }
    let mut starts = vec![0];
    starts.extend(
        text.chars()
            .enumerate()
            .filter(|(_, c)| *c == '\n')
            .map(|(at, _)| at + 1),
    );
    let place = |location: Location| {
        let line = usize::try_from(location.line).unwrap_or(1).max(1);
        let start = starts.get(line - 1).copied().unwrap_or(0);
        start
            + usize::try_from(location.column)
                .unwrap_or(1)
                .saturating_sub(1)
    };
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text)
        .tokenize_with_location()
        .map_err(|e| PredicateError::at(place(e.location), Fault::Token(e.message)))?;
    let mut lexed = Vec::with_capacity(tokens.len() + 1);
    for token in tokens {
        let at = place(token.span.start);
        let written = token.token.to_string();
        let lexeme = match token.token {
            Token::Whitespace(_) | Token::EOF => continue,
            Token::Word(word) => match word.quote_style {
                None => Lexeme::Word(word.value.to_lowercase()),
                Some(_) => Lexeme::Quoted(word.value),
            },
            Token::Number(digits, _) => Lexeme::Number(digits),
            Token::SingleQuotedString(s)
            | Token::EscapedStringLiteral(s)
            | Token::UnicodeStringLiteral(s)
            | Token::NationalStringLiteral(s) => Lexeme::Text(s),
            Token::DollarQuotedString(s) => Lexeme::Text(s.value),
            Token::Placeholder(name) => match name.strip_prefix('$').map(str::parse) {
                Some(Ok(number)) => Lexeme::Param(number),
                _ => return Err(PredicateError::at(at, Fault::Near(name))),
            },
            Token::SemiColon => return Err(PredicateError::whole(Fault::Split)),
            Token::Neq => Lexeme::Sign("<>".into()),
            Token::CustomBinaryOperator(operator) => {
                split(&operator, at, &mut lexed);
                continue;
            }
            _ => Lexeme::Sign(written.clone()),
        };
        lexed.push(Lexed {
            lexeme,
            at,
            written,
        });
    }
    let end = text.chars().count();
    lexed.push(Lexed {
        lexeme: Lexeme::End,
        at: end,
        written: String::new(),
    });
    Ok(lexed)
}

/// Postgres' rule: an operator of several characters ends in `+` or `-` only if it has one of
/// `~ ! @ # % ^ & | ? `` ` `` `; so `<-1` is `<` and `-1`.
fn split(operator: &str, at: usize, lexed: &mut Vec<Lexed>) {
    let mut head = operator;
    if !operator.contains(['~', '!', '@', '#', '%', '^', '&', '|', '?', '`']) {
        while head.len() > 1 && head.ends_with(['+', '-']) {
            head = &head[..head.len() - 1];
        }
    }
    let mut sign = |text: &str, at: usize| {
        let lexeme = Lexeme::Sign(if text == "!=" {
            "<>".into()
        } else {
            text.to_owned()
        });
        lexed.push(Lexed {
            lexeme,
            at,
            written: text.to_owned(),
        });
    };
    sign(head, at);
    for (i, _) in operator.char_indices().skip(head.len()) {
        sign(&operator[i..=i], at + i);
    }
}
