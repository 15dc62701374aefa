use std::time::Duration;

use channel_runtime::prelude::*;
use serde::Serialize;

#[derive(Serialize, Event)]
#[event("reboot")]
pub struct Reboot;

pub struct Rebooted;

pub async fn reboot(device: &ChannelRef<Device>) -> bool {
    let answer = device.request::<_, Rebooted>(&Reboot, Duration::from_secs(1)).await;
    answer.is_ok()
}

pub struct Device;

#[channel("device:*", pushes = [Reboot])]
impl Device {
    #[join]
    fn join() -> Self {
        Device
    }
}

fn main() {}
