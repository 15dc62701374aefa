use std::{sync::Weak, time::Duration};

use tokio::time::sleep;

use super::{Channel, Inbox};

/// Gives the memory of a burst back once the channel has been idle for a while.
///
/// Begins when there is something to give back, and looks at the channel when it is due; it is
/// not moved with every message.
pub(super) async fn watch<C: Channel>(inbox: Weak<Inbox<C>>, after: Duration) {
    let mut left = after;
    loop {
        sleep(left).await;
        let Some(inbox) = inbox.upgrade() else { return };
        match inbox.hibernate(after) {
            Some(more) => left = more,
            None => return,
        }
    }
}
