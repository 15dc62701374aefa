//! The methods of a channel are ordinary and can be called directly.

use channel_runtime::prelude::*;

pub struct Counter {
    count: u32,
}

#[channel("counter:*")]
impl Counter {
    pub const START: u32 = 3;

    #[join]
    pub fn join() -> Self {
        Counter { count: Self::START }
    }

    #[handle_in("add")]
    pub fn add(&mut self, number: u32) -> Reply<u32> {
        self.count += number;
        if self.is_large() {
            return Err(Refusal::new("large"));
        }
        Ok(self.count)
    }

    fn is_large(&self) -> bool {
        self.count > 10
    }

    #[terminate]
    pub fn end(self) {
        assert!(self.count > 0);
    }
}

fn main() {
    let mut counter = Counter::join();
    assert_eq!(counter.add(4).unwrap(), 7);
    assert_eq!(counter.add(4).unwrap_err().reason(), Some("large"));
    counter.end();
}
