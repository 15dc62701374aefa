use std::time::Duration;

use channel_runtime::prelude::*;

#[derive(Event)]
#[event("firmware", binary)]
pub struct Firmware(Bytes);

pub struct Device;

#[channel("device:*", pushes = [Firmware])]
impl Device {
    #[join]
    fn join() -> Self {
        Device
    }

    #[handle_in("update")]
    async fn update(&mut self, image: Binary, socket: &Socket<Self>) -> Reply<bool> {
        let firmware = Firmware(image.0);
        Ok(socket.request(&firmware, Duration::from_secs(1)).await?)
    }
}

fn main() {}
