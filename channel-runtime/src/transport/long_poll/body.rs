//! The body of a POST: read within bounds, and split into frames.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use bytestring::ByteString;
use data_encoding::BASE64_NOPAD;
use futures_util::StreamExt;

use tokio::{sync::Notify, time::Instant};

use super::answer::status;
use crate::{connection::HalfReceived, protocol::Frame};

/// Refuses a body whose announced length exceeds `most` bytes.
pub(super) fn check_length(body: &Body, most: usize) -> Result<(), u16> {
    match body.size_hint().lower() {
        length if length > most as u64 => Err(status::TOO_LARGE),
        _ => Ok(()),
    }
}

/// Reads a body of at most `most` bytes. It counts towards the half-received data of all clients,
/// and may be cut off to make room.
pub(super) async fn read(body: Body, most: usize, all: &Arc<HalfReceived>) -> Result<Vec<u8>, u16> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let (mut half, cut_off) = (None, Arc::new(Notify::new()));
    loop {
        let chunk = tokio::select! {
            biased;
            () = cut_off.notified() => return Err(status::ERROR),
            chunk = chunks.next() => chunk,
        };
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|_| status::BAD_REQUEST)?;
        if bytes.len() + chunk.len() > most {
            return Err(status::TOO_LARGE);
        }
        bytes.extend_from_slice(&chunk);
        // Its client is admitted and has limited time, so it is evicted like one that has joined.
        all.note(&mut half, bytes.len(), true, Instant::now(), || {
            let cut_off = cut_off.clone();
            Box::new(move || cut_off.notify_one())
        });
    }
    Ok(bytes)
}

/// Decodes one text frame.
pub(super) fn single(body: Vec<u8>) -> Result<Vec<Frame>, u16> {
    text(body).map(|frame| vec![frame])
}

/// Decodes one frame per line: JSON as text, anything else as base64 of a binary frame. Skips blank
/// lines. Takes no frame if there are more than `most`, or if one is malformed.
pub(super) fn batch(body: &[u8], most: usize) -> Result<Vec<Frame>, u16> {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| !line.is_empty());
    if lines.clone().nth(most).is_some() {
        return Err(status::TOO_LARGE);
    }
    // Copies, so that a frame that is kept does not hold on to the whole batch.
    lines.map(line).collect()
}

fn line(line: &[u8]) -> Result<Frame, u16> {
    match line {
        // `{` opens a frame of version 1 of the protocol; base64 begins with neither.
        [b'[' | b'{', ..] => text(line.to_vec()),
        _ => {
            let padding = line.iter().rev().take_while(|byte| **byte == b'=').count();
            let digits = &line[..line.len() - padding.min(2)];
            let bytes = BASE64_NOPAD.decode(digits);
            let bytes = bytes.map_err(|_| status::BAD_REQUEST)?;
            Ok(Frame::Binary(bytes.into()))
        }
    }
}

fn text(bytes: Vec<u8>) -> Result<Frame, u16> {
    let text = ByteString::try_from(Bytes::from(bytes)).map_err(|_| status::BAD_REQUEST)?;
    Ok(Frame::Text(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn binary(bytes: &'static [u8]) -> Frame {
        Frame::Binary(Bytes::from_static(bytes))
    }

    #[test]
    fn lines_are_text_or_base64_and_blank_ones_nothing() {
        let body = b"\n[1]\r\n  \n{\"a\":1}\nAAEC\n\n/+8=\n/+8\n";
        let frames = [
            Frame::Text("[1]".into()),
            Frame::Text("{\"a\":1}".into()),
            binary(&[0, 1, 2]),
            binary(&[255, 239]),
            binary(&[255, 239]),
        ];
        assert_eq!(batch(body, 5), Ok(frames.to_vec()));
        assert_eq!(batch(b"", 1), Ok(vec![]));
        assert_eq!(batch(b" \n\r\n\n", 1), Ok(vec![]));
    }

    #[test]
    fn what_is_neither_refuses_the_whole_batch() {
        for body in [
            &b"[1]\n!!!notb64"[..],
            b"[1]\n\"text\"",
            b"[\xff]\n[1]",
            b"A",
            b"AAEC====",
            b"====",
        ] {
            assert_eq!(batch(body, 5), Err(status::BAD_REQUEST), "{body:?}");
        }
        assert_eq!(single(vec![0xff]), Err(status::BAD_REQUEST));
    }

    #[test]
    fn a_batch_over_the_limit_is_refused_before_its_lines_are_read() {
        assert_eq!(batch(b"[1]\n[2]\n\n", 2).map(|frames| frames.len()), Ok(2));
        assert_eq!(batch(b"[1]\n[2]\n\n!\n", 2), Err(status::TOO_LARGE));
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_bound() {
        let all = &HalfReceived::new(1);
        assert_eq!(read(Body::from("1234"), 4, all).await, Ok(b"1234".to_vec()));
        assert_eq!(
            read(Body::from("12345"), 4, all).await,
            Err(status::TOO_LARGE)
        );
        assert_eq!(
            check_length(&Body::from("12345"), 4),
            Err(status::TOO_LARGE)
        );
        assert_eq!(check_length(&Body::from("1234"), 4), Ok(()));
        let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x"));
        let endless = Body::from_stream(endless);
        assert_eq!(check_length(&endless, 4), Ok(()));
        assert_eq!(read(endless, 4, all).await, Err(status::TOO_LARGE));
    }

    #[tokio::test]
    async fn a_body_that_stops_makes_room_for_one_that_goes_on() {
        const MIB: usize = 1 << 20;
        let all = HalfReceived::new(3 * MIB);
        let chunk = |_| Ok::<_, std::io::Error>(vec![b'x'; MIB]);
        let two = futures_util::stream::iter(0..2).map(chunk);
        let stopped = Body::from_stream(two.chain(futures_util::stream::pending()));
        let mut stopped = std::pin::pin!(read(stopped, 10 * MIB, &all));
        assert!(futures_util::poll!(stopped.as_mut()).is_pending());
        let whole = Body::from_stream(futures_util::stream::iter(0..2).map(chunk));
        assert_eq!(
            read(whole, 10 * MIB, &all).await.map(|all| all.len()),
            Ok(2 * MIB)
        );
        assert_eq!(stopped.await, Err(status::ERROR));
    }

    proptest! {
        #[test]
        fn any_body_gives_bounded_frames_or_a_status(body: Vec<u8>, most in 1..5_usize) {
            if let Ok(frames) = batch(&body, most) {
                prop_assert!(frames.len() <= most);
                prop_assert!(frames.iter().map(Frame::len).sum::<usize>() <= body.len());
            }
            let _any = single(body);
        }
    }
}
