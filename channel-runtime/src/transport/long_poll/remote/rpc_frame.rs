//! The byte format of the RPC frames that nodes exchange about a polled session.
//!
//! ```text
//! bytes  0..8    the call: a number of the node whose client asks
//!        8..12   length of the head, big endian
//!        12..    the head, JSON, and the piece of a body, if there is one
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// The maximum part of a body in one frame, in bytes, so that an engine which takes 64 KiB takes
/// every frame.
pub(super) const PIECE: usize = 60 << 10;

const HEADER: usize = 12;

/// A request to the node that has a session, or that node's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum RpcFrame {
    Request(Request),
    Answer(Answer),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    /// The client polls. Carries the client's token, which opens the session on the other node too.
    Poll { token: String, window_ms: u64 },
    /// The client publishes, once it is its turn.
    Publish { token: String, is_batch: bool },
    /// A piece of the published body.
    Body(Piece),
    /// The client no longer waits for the answer.
    Cancel,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The request has arrived, and takes a while.
    Alive,
    /// It is the client's turn to publish.
    Ready,
    /// A piece of the messages for a poll, whose answer has this number.
    Messages { number: u32, piece: Piece },
    /// The request's status.
    Done(u16),
    /// From another node of the same name.
    Stranger,
}

/// The position of a piece in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    pub(super) at: usize,
    pub(super) is_last: bool,
}

pub(super) fn encode(call: u64, frame: &RpcFrame, body: &[u8]) -> Bytes {
    // Numbers and strings always serialize.
    let head = serde_json::to_vec(frame).unwrap_or_default();
    let mut bytes = BytesMut::with_capacity(HEADER + head.len() + body.len());
    bytes.put_u64(call);
    // A head is only slightly longer than a token.
    bytes.put_u32(head.len() as u32);
    bytes.put_slice(&head);
    bytes.put_slice(body);
    bytes.freeze()
}

/// Decodes the call, the head and the piece of the body; `None` if the bytes are not a frame.
pub(super) fn decode(bytes: &Bytes) -> Option<(u64, RpcFrame, Bytes)> {
    let call = u64::from_be_bytes(*bytes.first_chunk()?);
    let len = u32::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
    let end = HEADER.checked_add(usize::try_from(len).ok()?)?;
    let frame = serde_json::from_slice(bytes.get(HEADER..end)?).ok()?;
    Some((call, frame, bytes.slice(end..)))
}

/// A body that arrives in pieces, in order.
#[derive(Debug)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    most: usize,
}

/// The piece does not follow those before it, or is one too many.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChunkError {
    Missing,
    TooLarge,
}

impl Pieces {
    /// Creates a body of at most this many bytes.
    pub(super) fn new(most: usize) -> Self {
        let bytes = Vec::new();
        Pieces { bytes, most }
    }

    /// Takes a piece; returns the whole body with the last one. The first piece starts over.
    pub(super) fn take(
        &mut self,
        piece: Piece,
        bytes: &[u8],
    ) -> Result<Option<Vec<u8>>, ChunkError> {
        if piece.at == 0 {
            self.bytes.clear();
        }
        if piece.at != self.bytes.len() {
            return Err(ChunkError::Missing);
        }
        if self.bytes.len() + bytes.len() > self.most {
            return Err(ChunkError::TooLarge);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(piece.is_last.then(|| std::mem::take(&mut self.bytes)))
    }
}

/// Splits a body into pieces: at least one.
pub(super) fn pieces(body: &[u8]) -> impl Iterator<Item = (Piece, &[u8])> {
    let starts = (0..body.len().max(1)).step_by(PIECE);
    starts.map(|at| {
        let end = (at + PIECE).min(body.len());
        let is_last = end == body.len();
        (Piece { at, is_last }, &body[at..end])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(at: usize, is_last: bool) -> Piece {
        Piece { at, is_last }
    }

    #[test]
    fn a_piece_that_is_missing_or_one_too_many_is_a_misfit() {
        let mut body = Pieces::new(4);
        assert_eq!(body.take(piece(1, true), b"x"), Err(ChunkError::Missing));
        assert_eq!(body.take(piece(0, false), b"12"), Ok(None));
        assert_eq!(body.take(piece(3, true), b"4"), Err(ChunkError::Missing));
        assert_eq!(
            body.take(piece(2, false), b"345"),
            Err(ChunkError::TooLarge)
        );
        assert_eq!(body.take(piece(2, true), b"34"), Ok(Some(b"1234".to_vec())));
        assert_eq!(body.take(piece(0, false), b"1"), Ok(None));
        assert_eq!(body.take(piece(0, true), b"2"), Ok(Some(b"2".to_vec())));
    }

    #[test]
    fn every_frame_fits_an_engine_that_takes_64_kib() {
        let piece = piece(usize::MAX, false);
        let longest = [
            RpcFrame::Request(Request::Body(piece)),
            RpcFrame::Answer(Answer::Messages {
                number: u32::MAX,
                piece,
            }),
        ];
        for frame in longest {
            assert!(encode(u64::MAX, &frame, &[0; PIECE]).len() < (64 << 10) - 1024);
        }
    }

    proptest! {
        #[test]
        fn properties_a_body_arrives_in_pieces_as_it_was(len in 0..4 * PIECE) {
            let body: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut whole = Pieces::new(len);
            let mut arrived = None;
            for (piece, bytes) in pieces(&body) {
                let frame = RpcFrame::Request(Request::Body(piece));
                let (call, frame, bytes) = decode(&encode(7, &frame, bytes)).unwrap();
                let RpcFrame::Request(Request::Body(piece)) = frame else { panic!("{frame:?}") };
                prop_assert!(call == 7 && arrived.is_none());
                arrived = whole.take(piece, &bytes).unwrap();
            }
            prop_assert_eq!(arrived, Some(body));
        }

        #[test]
        fn properties_no_bytes_make_the_decoder_panic(noise: Vec<u8>, len in 0..64_u32) {
            let _any = decode(&noise.clone().into());
            let framed = [&[0; 8][..], &len.to_be_bytes(), &noise].concat();
            let _any = decode(&framed.into());
        }
    }
}
