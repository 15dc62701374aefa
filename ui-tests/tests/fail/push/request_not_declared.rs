use std::time::Duration;

use channel_runtime::prelude::*;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event("reboot")]
pub struct Reboot;

pub struct Device;

#[channel("device:*")]
impl Device {
    #[join]
    fn join() -> Self {
        Device
    }

    #[handle_in("update")]
    async fn update(&mut self, socket: &Socket<Self>) -> Reply<bool> {
        Ok(socket.request(&Reboot, Duration::from_secs(1)).await?)
    }
}

fn main() {}
