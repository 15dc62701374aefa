//! The part of WebSocket that both ends need: the handshake and whole frames.

/// The answer of every benchmark server to a client with [`REQUEST`]'s key.
pub const ACCEPT: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Returns a client's handshake.
pub fn request(host: &str, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// Returns the end of an HTTP head in `bytes`.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// One whole frame at the start of `bytes`: its opcode, and the bounds of its payload.
pub struct Frame {
    /// 1 is text, 8 a close, 9 a ping.
    pub opcode: u8,
    /// The start of the payload.
    pub start: usize,
    /// The end of the frame.
    pub end: usize,
    /// The mask of a client's frame.
    pub mask: Option<[u8; 4]>,
}

/// Reads the frame at the start of `bytes` if it is complete.
pub fn frame(bytes: &[u8]) -> Option<Frame> {
    let (&[first, second], _) = bytes.split_first_chunk::<2>()?;
    let (len, mut start) = match second & 0x7f {
        126 => (
            usize::from(u16::from_be_bytes(*bytes.get(2..4)?.first_chunk()?)),
            4,
        ),
        127 => (
            u64::from_be_bytes(*bytes.get(2..10)?.first_chunk()?) as usize,
            10,
        ),
        len => (usize::from(len), 2),
    };
    let mask = if second & 0x80 != 0 {
        let mask = *bytes.get(start..start + 4)?.first_chunk()?;
        start += 4;
        Some(mask)
    } else {
        None
    };
    let end = start + len;
    (bytes.len() >= end).then_some(Frame {
        opcode: first & 0x0f,
        start,
        end,
        mask,
    })
}

/// Appends a text frame; a client's is masked (with zeros, which costs both ends the same work).
pub fn text(out: &mut Vec<u8>, payload: &[u8], client: bool) {
    out.push(0x81);
    let mask = if client { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..=125 => out.push(mask | len as u8),
        len @ 126..=0xffff => {
            out.push(mask | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(mask | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if client {
        out.extend_from_slice(&[0; 4]);
    }
    out.extend_from_slice(payload);
}
