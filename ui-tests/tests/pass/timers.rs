//! Messages of a channel to itself, once and repeated.

use std::time::Duration;

use channel_runtime::{TimerRef, prelude::*};

#[derive(Clone)]
pub struct Tick;

pub struct Clock {
    timer: TimerRef,
    ticks: u32,
}

#[channel("clock:*")]
impl Clock {
    #[join]
    fn join(me: &ChannelRef<Self>) -> Self {
        let timer = me.interval(Duration::from_secs(1), Tick);
        Clock { timer, ticks: 0 }
    }

    #[handle_in("stop")]
    fn stop(&mut self, socket: &Socket<Self>) -> Reply<u32> {
        self.timer.cancel();
        socket.send_after(Duration::from_secs(1), Tick);
        Ok(self.ticks)
    }

    #[handle_info]
    fn tick(&mut self, Tick: Tick) {
        self.ticks += 1;
    }
}

fn main() {}
