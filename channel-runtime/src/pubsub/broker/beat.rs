//! The heartbeat that a node sends to its own name, and so to every other node of that name.
//!
//! ```text
//! bytes  0..2    "cb"
//!        2..18   the node's origin, a random number
//!        18..26  the number of the beat, big endian
//! ```

use bytes::Bytes;

use crate::pubsub::distributed::Origin;

const MAGIC: [u8; 2] = *b"cb";

pub(super) fn write(origin: Origin, number: u64) -> Bytes {
    [&MAGIC[..], &origin.0, &number.to_be_bytes()]
        .concat()
        .into()
}

/// Parses a heartbeat into its node's origin and its number; `None` if it is not a heartbeat.
pub(super) fn read(body: &[u8]) -> Option<(Origin, u64)> {
    let (origin, number) = body.strip_prefix(&MAGIC)?.split_first_chunk()?;
    let number = u64::from_be_bytes(number.try_into().ok()?);
    Some((Origin(*origin), number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn properties_a_beat_is_read_as_it_was_written_and_nothing_else_is_one(
            origin: [u8; 16], number: u64, noise: Vec<u8>,
        ) {
            let beat = write(Origin(origin), number);
            prop_assert_eq!(read(&beat), Some((Origin(origin), number)));
            prop_assert_eq!(read(&beat[..beat.len() - 1]), None);
            prop_assert_eq!(read(&[&beat[..], b"x"].concat()), None);
            prop_assert!(!noise.starts_with(b"cb") || noise.len() == 26 || read(&noise).is_none());
        }
    }
}
