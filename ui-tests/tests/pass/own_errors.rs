//! The user's own errors, with `?`, in every role that answers a client.

use channel_runtime::prelude::*;
use serde::Deserialize;

pub enum Failure {
    Banned,
    Parse(std::num::ParseIntError),
}

impl From<std::num::ParseIntError> for Failure {
    fn from(error: std::num::ParseIntError) -> Self {
        Failure::Parse(error)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Banned => Refusal::new("banned"),
            Failure::Parse(error) => Refusal::new("number").with("message", error.to_string()),
        }
    }
}

#[derive(Deserialize)]
pub struct Enter {
    age: String,
}

pub struct Room {
    age: u8,
}

#[channel("room:*", socket = User)]
impl Room {
    #[join]
    async fn join(enter: Enter) -> Result<Self, Failure> {
        let age = enter.age.parse()?;
        Ok(Room { age })
    }

    #[handle_in("age")]
    async fn age(&mut self, age: String) -> Reply<u8, Failure> {
        self.age = age.parse()?;
        if self.age < 18 {
            return Err(Failure::Banned);
        }
        Ok(self.age)
    }

    #[handle_in("refusal")]
    fn refusal(&mut self, age: String) -> Reply {
        let age: u8 = age.parse().map_err(Failure::from)?;
        self.age = age;
        Ok(())
    }
}

pub struct User;

#[socket(channels = [Room])]
impl User {
    #[connect]
    fn connect(params: Params) -> Result<Self, Failure> {
        match params.get("token") {
            Some(_) => Ok(User),
            None => Err(Failure::Banned),
        }
    }
}

fn main() {}
