//! Topics of channels of every form; a capture that can be read need not be written.

use std::{fmt::Display, marker::PhantomData, str::FromStr};

use channel_runtime::{TypedTopic, prelude::*};

pub struct Id;

impl FromStr for Id {
    type Err = std::fmt::Error;

    fn from_str(_: &str) -> Result<Self, Self::Err> {
        Ok(Id)
    }
}

pub struct Board;

#[channel("board:*")]
impl Board {
    #[join("board:{board}")]
    fn join(board: Id) -> Self {
        let _ = board;
        Board
    }

    /// The user's own comes first.
    pub fn topic() -> &'static str {
        "mine"
    }
}

pub struct Table<K>(PhantomData<fn() -> K>);

#[channel("table:*")]
impl<K> Table<K>
where
    K: FromStr + Display + Send + Sync + 'static,
    K::Err: Display,
{
    #[join("table:{key}:{_rest}")]
    fn join(key: K, _rest: String) -> Self {
        let _ = key;
        Table(PhantomData)
    }

    #[cfg(any())]
    #[join("table:{key}")]
    fn absent(key: K) -> Self {
        let _ = key;
        Table(PhantomData)
    }

    #[join("table:*")]
    fn any() -> Self {
        Table(PhantomData)
    }
}

pub fn find(endpoint: &Endpoint) -> usize {
    endpoint.channels(Table::<u8>::topic((7, "x"))).len()
        + endpoint.channels::<Board>(Board::topic()).len()
}

fn main() {
    assert_eq!(Table::<u8>::topic((7, "x")).unwrap().as_str(), "table:7:x");
    assert!(<Table<u8> as TypedTopic>::topic((&7, "x")).is_ok());
}
