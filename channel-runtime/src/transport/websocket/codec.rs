//! The server side of WebSocket framing (RFC 6455): decodes a client's bytes into messages, and
//! adds headers to the server's. No I/O, and no buffer unless a message is half received.

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;

use crate::{connection::Close, protocol::HEADER_ROOM};

/// A whole message or a control frame from the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Text(ByteString),
    Binary(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    /// Carries the client's code, if there is one.
    Close(Option<u16>),
}

impl Message {
    /// Returns the size of its payload, in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
            Message::Close(_) => 0,
        }
    }
}

/// A decoded message, borrowed from the read buffer where possible.
pub(super) enum Read<'a> {
    /// A text message in one frame, as most are.
    Text(&'a str),
    /// Any other message.
    Message(Message),
}

impl Read<'_> {
    pub(super) fn into_message(self) -> Message {
        match self {
            Read::Text(text) => Message::Text(text.into()),
            Read::Message(message) => message,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// The size of the largest header a server writes, in bytes.
pub(super) const MAX_HEADER: usize = HEADER_ROOM;

/// The maximum payload of a control frame, in bytes.
pub(super) const MAX_CONTROL: usize = 125;

impl Opcode {
    fn read(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0,
            Opcode::Text => 1,
            Opcode::Binary => 2,
            Opcode::Close => 8,
            Opcode::Ping => 9,
            Opcode::Pong => 10,
        }
    }

    fn is_control(self) -> bool {
        self.bits() >= 8
    }
}

/// Writes the header of a server's whole frame; returns the number of bytes used.
pub(super) fn header(opcode: Opcode, len: usize, out: &mut [u8; MAX_HEADER]) -> usize {
    out[0] = 0x80 | opcode.bits();
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ 0..=125), _) => {
            out[1] = short;
            2
        }
        (_, Ok(medium)) => {
            out[1] = 126;
            out[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        }
        _ => {
            out[1] = 127;
            out[2..10].copy_from_slice(&(len as u64).to_be_bytes());
            10
        }
    }
}

/// Encodes a whole frame of the server: header and payload.
pub(super) fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut head = [0; MAX_HEADER];
    let head_len = header(opcode, payload.len(), &mut head);
    let mut out = BytesMut::with_capacity(head_len + payload.len());
    out.extend_from_slice(&head[..head_len]);
    out.extend_from_slice(payload);
    out.freeze()
}

/// Encodes a whole text frame in the buffer of its text, which starts with room for the header.
pub(super) fn frame_in_place(mut text: Vec<u8>) -> Bytes {
    let mut head = [0; MAX_HEADER];
    let head_len = header(Opcode::Text, text.len() - MAX_HEADER, &mut head);
    let start = MAX_HEADER - head_len;
    text[start..MAX_HEADER].copy_from_slice(&head[..head_len]);
    let mut frame = Bytes::from(text);
    frame.advance(start);
    frame
}

/// The limits on a client's messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) frame: usize,
    pub(super) message: usize,
}

/// Reads the frames of one client.
#[derive(Debug)]
pub(super) struct Decoder {
    limits: Limits,
    /// A partially received frame.
    partial: BytesMut,
    /// The fragments so far of a message, and true if it is text.
    fragments: Option<(bool, BytesMut)>,
}

/// The header of a client's frame.
struct Head {
    fin: bool,
    opcode: Opcode,
    mask: [u8; 4],
    start: usize,
    end: usize,
}

const fn protocol(reason: &'static str) -> Close {
    Close::new(1002, reason)
}

const TOO_LARGE: Close = Close::new(1009, "message too large");
const NOT_UTF8: Close = Close::new(1007, "text that is not UTF-8");

impl Decoder {
    pub(super) fn new(limits: Limits) -> Self {
        Decoder {
            limits,
            partial: BytesMut::new(),
            fragments: None,
        }
    }

    /// Returns the number of bytes it keeps of an incomplete message.
    pub(super) fn kept(&self) -> usize {
        let fragments = self.fragments.as_ref().map_or(0, |(_, bytes)| bytes.len());
        self.partial.len() + fragments
    }

    /// Decodes received bytes, and calls `each` with every message. The bytes are unmasked in
    /// place; an incomplete frame is kept.
    ///
    /// # Errors
    ///
    /// The close with which the connection must end. Messages before the faulty one have been
    /// passed on.
    pub(super) fn read(
        &mut self,
        mut bytes: &mut [u8],
        mut each: impl FnMut(Read<'_>),
    ) -> Result<(), Close> {
        while !self.partial.is_empty() && !bytes.is_empty() {
            // Take only enough to complete the frame, so that the rest is read in place.
            let wanted = self.missing()?.clamp(1, bytes.len());
            let (now, rest) = bytes.split_at_mut(wanted);
            bytes = rest;
            self.partial.extend_from_slice(now);
            let mut partial = std::mem::take(&mut self.partial);
            match self.head(&partial)? {
                Some(head) if partial.len() >= head.end => {
                    if let Some(message) = self.take(&head, &mut partial[head.start..])? {
                        each(message);
                    }
                }
                _ => self.partial = partial,
            }
        }
        while !bytes.is_empty() {
            match self.head(bytes)? {
                Some(head) if bytes.len() >= head.end => {
                    let (frame, rest) = bytes.split_at_mut(head.end);
                    if let Some(message) = self.take(&head, &mut frame[head.start..])? {
                        each(message);
                    }
                    bytes = rest;
                }
                _ => {
                    self.partial.extend_from_slice(bytes);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Returns the number of bytes the partial frame lacks, or its header while that is incomplete.
    fn missing(&self) -> Result<usize, Close> {
        let have = self.partial.len();
        Ok(match self.head(&self.partial)? {
            Some(head) => head.end.saturating_sub(have),
            None => {
                let length: usize = match self.partial.get(1).map(|second| second & 0x7f) {
                    None => 0,
                    Some(126) => 2,
                    Some(127) => 8,
                    Some(_) => 0,
                };
                (6 + length).saturating_sub(have)
            }
        })
    }

    /// Parses and checks a header; `None` while it is incomplete.
    fn head(&self, bytes: &[u8]) -> Result<Option<Head>, Close> {
        let Some((&[first, second], _)) = bytes.split_first_chunk::<2>() else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(protocol("reserved bits are set"));
        }
        let opcode = Opcode::read(first & 0x0f).ok_or(protocol("unknown opcode"))?;
        if second & 0x80 == 0 {
            return Err(protocol("a client's frame must be masked"));
        }
        let fin = first & 0x80 != 0;
        let short = usize::from(second & 0x7f);
        if opcode.is_control() && (short > MAX_CONTROL || !fin) {
            return Err(protocol("a control frame is short and whole"));
        }
        let (len, at) = match short {
            126 => match bytes.get(2..4).and_then(<[u8]>::first_chunk) {
                Some(len) => (u64::from(u16::from_be_bytes(*len)), 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..10).and_then(<[u8]>::first_chunk) {
                Some(len) => (u64::from_be_bytes(*len), 10),
                None => return Ok(None),
            },
            short => (short as u64, 2),
        };
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= self.limits.frame);
        let len = len.ok_or(TOO_LARGE)?;
        let Some(mask) = bytes.get(at..at + 4).and_then(<[u8]>::first_chunk) else {
            return Ok(None);
        };
        let start = at + 4;
        Ok(Some(Head {
            fin,
            opcode,
            mask: *mask,
            start,
            end: start + len,
        }))
    }

    /// Takes a whole frame.
    fn take<'a>(&mut self, head: &Head, payload: &'a mut [u8]) -> Result<Option<Read<'a>>, Close> {
        unmask(payload, head.mask);
        let payload = &*payload;
        let control = match head.opcode {
            Opcode::Close => Message::Close(close(payload)?),
            Opcode::Ping => Message::Ping(Bytes::copy_from_slice(payload)),
            Opcode::Pong => Message::Pong(Bytes::copy_from_slice(payload)),
            Opcode::Continuation => {
                let whole = self.fragment(head.fin, payload)?;
                return Ok(whole.map(Read::Message));
            }
            Opcode::Text | Opcode::Binary => return self.begin(head, payload),
        };
        Ok(Some(Read::Message(control)))
    }

    /// Takes the first frame of a message.
    fn begin<'a>(&mut self, head: &Head, payload: &'a [u8]) -> Result<Option<Read<'a>>, Close> {
        let text = head.opcode == Opcode::Text;
        if self.fragments.is_some() {
            return Err(protocol("a message begins before the last has ended"));
        }
        if payload.len() > self.limits.message {
            return Err(TOO_LARGE);
        }
        if !head.fin {
            self.fragments = Some((text, BytesMut::from(payload)));
            return Ok(None);
        }
        Ok(Some(if text {
            Read::Text(std::str::from_utf8(payload).map_err(|_| NOT_UTF8)?)
        } else {
            Read::Message(Message::Binary(Bytes::copy_from_slice(payload)))
        }))
    }

    fn fragment(&mut self, fin: bool, payload: &[u8]) -> Result<Option<Message>, Close> {
        let limit = self.limits.message;
        let (_, bytes) = self
            .fragments
            .as_mut()
            .ok_or(protocol("a continuation of nothing"))?;
        if bytes.len() + payload.len() > limit {
            return Err(TOO_LARGE);
        }
        bytes.extend_from_slice(payload);
        match self.fragments.take_if(|_| fin) {
            Some((text, bytes)) => message(text, bytes.freeze()).map(Some),
            None => Ok(None),
        }
    }
}

fn message(text: bool, bytes: Bytes) -> Result<Message, Close> {
    if !text {
        return Ok(Message::Binary(bytes));
    }
    ByteString::try_from(bytes)
        .map(Message::Text)
        .map_err(|_| NOT_UTF8)
}

/// Decodes the payload of a close.
fn close(payload: &[u8]) -> Result<Option<u16>, Close> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(protocol("a close code is cut off"))
        };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(protocol("no such close code"));
    }
    std::str::from_utf8(reason).map_err(|_| NOT_UTF8)?;
    Ok(Some(code))
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (eights, rest) = payload.as_chunks_mut::<8>();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}
