//! The path of a client's frames into its session.

use tokio::time::timeout;

use super::{answer::status, body, handle::Handle};
use crate::options::LongPollOptions;

/// Waits for the client's turn, reads the body, and hands its frames to the session.
///
/// # Errors
///
/// The status of the request.
pub(super) async fn publish(
    session: &Handle,
    options: &LongPollOptions,
    is_batch: bool,
    read: impl Future<Output = Result<Vec<u8>, u16>>,
) -> Result<(), u16> {
    tokio::select! {
        biased;
        published = publish_in_turn(session, options, is_batch, read) => published,
        () = session.ended() => Err(status::GONE),
    }
}

async fn publish_in_turn(
    session: &Handle,
    options: &LongPollOptions,
    is_batch: bool,
    read: impl Future<Output = Result<Vec<u8>, u16>>,
) -> Result<(), u16> {
    let late = |_| status::TIMEOUT;
    let turn = timeout(options.poll_time(), session.turn());
    let turn = turn.await.map_err(late)?;
    let bytes = timeout(options.body_time(), read).await.map_err(late)??;
    let frames = match is_batch {
        true => body::batch(&bytes, options.max_batch_frames)?,
        false => body::single(bytes)?,
    };
    let published = timeout(options.poll_time(), turn.publish(frames)).await;
    published.map_err(late)?
}
