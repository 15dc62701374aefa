//! Every form of `#[terminate]`.

use channel_runtime::prelude::*;

macro_rules! ends {
    ($($name:ident: $(#[$role:meta])* { $($method:tt)* })*) => {$(
        pub struct $name;

        #[channel("room:*")]
        impl $name {
            #[join]
            fn join() -> Self {
                $name
            }

            $($method)*
        }
    )*};
}

ends! {
    Owned: {
        #[terminate]
        fn end(self) {}
    }
    OwnedAsync: {
        #[terminate]
        async fn end(mut self, reason: Reason, socket: &Socket<Self>) {
            let _ = (&mut self, reason.is_error(), socket.topic());
            std::future::ready(()).await;
        }
    }
    Borrowed: {
        #[terminate]
        fn end(&self, reason: channel_runtime::Reason) {
            drop(reason);
        }
    }
    BorrowedAsync: {
        #[terminate]
        async fn end(&mut self, topic: &Topic) {
            std::future::ready(topic.len()).await;
        }
    }
    Detached: {
        #[terminate]
        fn end() {}
    }
}

fn main() {}
