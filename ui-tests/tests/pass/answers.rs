//! All values that a handler can return.

use channel_runtime::{ prelude::*, handler::NoReply};
use serde::Serialize;

#[derive(Serialize)]
pub struct State {
    open: bool,
}

pub struct Tick;
pub struct Tock;
pub struct Tack;

pub struct Door;

#[channel("door:*")]
impl Door {
    #[join]
    fn join() -> Self {
        Door
    }

    #[handle_in("silence")]
    fn silence(&mut self) -> () {}

    #[handle_in("reply")]
    fn reply(&mut self) -> Reply<State> {
        Ok(State { open: true })
    }

    #[handle_in("result")]
    fn result(&mut self) -> Result<&'static str, Error> {
        Ok("open")
    }

    #[handle_in("status")]
    fn status(&mut self) -> Status<State> {
        Status("ajar", State { open: true })
    }

    #[handle_in("status result")]
    fn status_result(&mut self) -> Result<Status, Refusal> {
        Ok(Status("ajar", ()))
    }

    #[handle_in("stop")]
    fn stop(&mut self) -> Stop {
        Stop::normal().ok(State { open: false })
    }

    #[handle_in("stop result")]
    async fn stop_result(&mut self) -> Result<Stop, Refusal> {
        Ok(Stop::shutdown_because("closed"))
    }

    #[handle_in("answer")]
    async fn answer(&mut self, open: bool) -> Answer {
        if open {
            Answer::ok(State { open })
        } else {
            Answer::none()
        }
    }

    #[handle_in("opaque")]
    fn opaque(&mut self) -> impl channel_runtime::handler::IntoAnswer + use<> {
        Stop::normal()
    }

    #[handle_info]
    fn tick(&mut self, _: Tick) -> Option<Stop> {
        None
    }

    #[handle_info]
    async fn tock(&mut self, _: Tock) -> Result<NoReply, std::fmt::Error> {
        Ok(NoReply::CONTINUE)
    }

    #[handle_cast]
    fn tack(&mut self, _: Tack) -> Stop {
        Stop::error("tack")
    }
}

fn main() {}
