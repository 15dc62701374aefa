//! WebSocket frames as bytes. It writes frames that a correct library would refuse to write:
//! reserved opcodes and bits, lone fragments, text that is not UTF-8.

/// The opcodes of RFC 6455.
pub(crate) mod opcode {
    pub(crate) const CONTINUATION: u8 = 0;
    pub(crate) const TEXT: u8 = 1;
    pub(crate) const BINARY: u8 = 2;
    pub(crate) const CLOSE: u8 = 8;
    pub(crate) const PING: u8 = 9;
    pub(crate) const PONG: u8 = 10;
}

/// The key a client's frames are masked with. Any will do.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One frame, of either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    /// The three reserved bits: 4 is RSV1.
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Creates a whole frame without reserved bits.
    pub(crate) fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Frame {
            fin: true,
            rsv: 0,
            opcode,
            payload: payload.into(),
        }
    }

    pub(crate) fn text(text: &str) -> Self {
        Frame::new(opcode::TEXT, text)
    }

    /// Returns the close code that a close frame carries; 1005 stands for none, as in browsers.
    pub(crate) fn close_code(&self) -> u16 {
        match self.payload[..] {
            [high, low, ..] => u16::from_be_bytes([high, low]),
            _ => 1005,
        }
    }

    /// Appends the frame as a client sends it: masked.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode);
        match self.payload.len() {
            len @ 0..=125 => out.push(0x80 | len as u8),
            len @ 126..=0xffff => {
                out.push(0x80 | 126);
                out.extend((len as u16).to_be_bytes());
            }
            len => {
                out.push(0x80 | 127);
                out.extend((len as u64).to_be_bytes());
            }
        }
        out.extend(MASK);
        let masked = self.payload.iter().zip(MASK.iter().cycle());
        out.extend(masked.map(|(byte, mask)| byte ^ mask));
    }

    /// Removes a server's frame from the front of `bytes`, or returns `None` while it is
    /// incomplete.
    pub(crate) fn read(bytes: &mut Vec<u8>) -> Result<Option<Frame>, String> {
        let [first, second, ..] = bytes[..] else {
            return Ok(None);
        };
        if second & 0x80 != 0 {
            return Err("a server must not mask its frames".to_owned());
        }
        let (header, len) = match second & 0x7f {
            126 => match bytes.get(2..4) {
                Some(&[a, b]) => (4, u64::from(u16::from_be_bytes([a, b]))),
                _ => return Ok(None),
            },
            127 => match bytes.get(2..10).map(<[u8; 8]>::try_from) {
                Some(Ok(len)) => (10, u64::from_be_bytes(len)),
                _ => return Ok(None),
            },
            len => (2, u64::from(len)),
        };
        let end = header + usize::try_from(len).map_err(|error| error.to_string())?;
        if bytes.len() < end {
            return Ok(None);
        }
        let frame = Frame {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 7,
            opcode: first & 0x0f,
            payload: bytes[header..end].to_vec(),
        };
        bytes.drain(..end);
        Ok(Some(frame))
    }
}

/// Returns the bytes of hexadecimal digits.
pub(crate) fn from_hex(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("a recording holds ASCII digits");
            u8::from_str_radix(pair, 16).expect("a recording holds hexadecimal digits")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the client's frame with the mask removed, as a server would send it.
    fn unmasked(frame: &Frame) -> Vec<u8> {
        let mut wire = Vec::new();
        frame.write(&mut wire);
        assert_eq!(wire[1] & 0x80, 0x80, "a client masks");
        let header = match wire[1] & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        assert_eq!(wire[header..header + 4], MASK);
        wire[1] &= 0x7f;
        let payload = wire.split_off(header + 4);
        wire.truncate(header);
        wire.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
        wire
    }

    #[test]
    fn every_width_of_length_is_read_back() {
        for len in [0, 1, 125, 126, 127, 0xffff, 0x10000, 200_000] {
            let frame = Frame::new(opcode::BINARY, vec![7; len]);
            let mut wire = unmasked(&frame);
            assert_eq!(Frame::read(&mut wire), Ok(Some(frame)), "{len} bytes");
            assert!(wire.is_empty());
        }
    }

    #[test]
    fn fin_reserved_bits_and_opcode_are_the_first_byte() {
        let frame = Frame {
            fin: false,
            rsv: 4,
            opcode: 3,
            payload: vec![],
        };
        let mut wire = Vec::new();
        frame.write(&mut wire);
        assert_eq!(wire[0], 0b0100_0011);
    }

    #[test]
    fn a_frame_that_is_not_whole_waits_for_the_rest() {
        let whole = unmasked(&Frame::new(opcode::TEXT, vec![b'x'; 300]));
        for cut in 0..whole.len() {
            let mut part = whole[..cut].to_vec();
            assert_eq!(Frame::read(&mut part), Ok(None), "{cut} bytes");
            assert_eq!(part.len(), cut);
        }
    }

    #[test]
    fn frames_behind_each_other_are_taken_one_by_one() {
        let (first, second) = (Frame::text("1"), Frame::new(opcode::CLOSE, [3, 0xe8, b'x']));
        let mut wire = [unmasked(&first), unmasked(&second)].concat();
        assert_eq!(Frame::read(&mut wire), Ok(Some(first)));
        assert_eq!(
            Frame::read(&mut wire).map(|f| f.map(|f| f.close_code())),
            Ok(Some(1000))
        );
        assert_eq!(Frame::read(&mut wire), Ok(None));
    }

    #[test]
    fn a_masked_frame_of_a_server_is_an_error() {
        let mut wire = Vec::new();
        Frame::text("x").write(&mut wire);
        assert!(Frame::read(&mut wire).is_err());
    }
}
