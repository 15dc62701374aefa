//! A socket without channels.

use channel_runtime::prelude::*;

pub struct User;

#[socket()]
impl User {
    #[connect]
    fn connect() -> Self {
        User
    }
}

fn main() {}
