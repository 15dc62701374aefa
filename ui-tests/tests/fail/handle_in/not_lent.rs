//! A type that a handler cannot borrow.

use channel_runtime::prelude::*;

pub struct Database;

pub struct Room;

#[channel("room:*")]
impl Room {
    #[join]
    fn join() -> Self {
        Room
    }

    #[handle_in("count")]
    fn count(&mut self, database: &Database) {
        let _ = database;
    }
}

fn main() {}
