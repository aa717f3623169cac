//! Timely's messages, as far as one has to look at them to know where a heartbeat may be, and whether a connection ends in good
//! order.

use std::ops::Range;

use super::heartbeat::Heartbeat;

/// Bytes of the header before each of timely's messages: six numbers of eight bytes, the highest byte first.
const HEADER: usize = 48;

/// Bytes of one of timely's messages: more than the gradients of any model that fits into memory today. Timely keeps what has
/// arrived of a message until all of it is there: a length above this one comes of damage, and everything that followed would
/// be kept as part of it, as long as there is memory.
const MESSAGE: u64 = 16 << 30;

/// Follows timely's messages through the bytes of a connection: whether they end in good order, and whether each is for this
/// process and of a sane length.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    workers: Range<u64>,
    header: [u8; HEADER],
    filled: usize,
    body: u64,
    pub(super) ended: bool,
}

impl Frames {
    pub(super) fn new(workers: Range<u64>) -> Self {
        Self { workers, header: [0; HEADER], filled: 0, body: 0, ended: false }
    }

    /// Whether the next byte begins a message, or may be a heartbeat.
    pub(super) fn between(&self) -> bool {
        self.body == 0 && self.filled == 0 && !self.ended
    }

    /// Follows `bytes`, in which there are messages only.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            bytes = &bytes[self.advance(bytes)?..];
        }
        Ok(())
    }

    /// Follows `bytes` and takes the heartbeats between the messages out of them: how many bytes, at the front, are left, and
    /// the last heartbeat.
    pub(super) fn sift(&mut self, bytes: &mut [u8]) -> Result<(usize, Option<Heartbeat>), String> {
        let (mut from, mut left, mut heartbeat) = (0, 0, None);
        while from < bytes.len() {
            if let Some(found) = Heartbeat::from_byte(bytes[from]).filter(|_| self.between()) {
                heartbeat = Some(found);
                from += 1;
                continue;
            }
            let taken = self.advance(&bytes[from..])?;
            if left < from {
                bytes.copy_within(from..from + taken, left);
            }
            from += taken;
            left += taken;
        }
        Ok((left, heartbeat))
    }

    /// Follows the first of `bytes`, at most to the end of a header or of what is behind one; how many that are.
    fn advance(&mut self, bytes: &[u8]) -> Result<usize, String> {
        if self.ended {
            return Err("it sent more after its end".to_owned());
        }
        if self.body > 0 {
            let skipped = self.body.min(bytes.len() as u64);
            self.body -= skipped;
            return Ok(skipped as usize);
        }
        let taken = (HEADER - self.filled).min(bytes.len());
        self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
        self.filled += taken;
        if self.filled == HEADER {
            self.filled = 0;
            self.begin()?;
        }
        Ok(taken)
    }

    /// Takes the numbers of a whole header: channel, source, first target, one past the last, length, sequence number.
    fn begin(&mut self) -> Result<(), String> {
        let number = |field: usize| {
            u64::from_be_bytes(self.header[8 * field..8 * field + 8].try_into().expect("eight bytes"))
        };
        let (first, end, length) = (number(2), number(3), number(4));
        if length == 0 {
            self.ended = true;
            return Ok(());
        }
        if length > MESSAGE {
            return Err(format!("it sent a message of {length} bytes"));
        }
        if first < self.workers.start || end > self.workers.end || first >= end {
            return Err(format!("it sent a message for workers {first} to {end}"));
        }
        self.body = length;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(first: u64, end: u64, length: u64) -> Vec<u8> {
        [7, 0, first, end, length, 9].iter().flat_map(|number: &u64| number.to_be_bytes()).collect()
    }

    #[test]
    fn messages_are_followed_whatever_the_pieces_in_which_they_come() {
        let bytes = [header(2, 3, 100), vec![0; 100], header(2, 4, 8), vec![1; 8], vec![0; HEADER]].concat();
        for size in 1..bytes.len() {
            let mut frames = Frames::new(2..4);
            for piece in bytes.chunks(size) {
                assert!(!frames.ended);
                frames.follow(piece).unwrap();
            }
            assert!(frames.ended);
            assert!(frames.follow(&[0]).unwrap_err().contains("after its end"));
        }
    }

    #[test]
    fn heartbeats_are_taken_out_of_the_messages_whatever_the_pieces_in_which_they_come() {
        let (responsive, working) = (Heartbeat::Responsive.byte(), Heartbeat::Working(5).byte());
        // What looks like a heartbeat within a message is none.
        let messages = [header(2, 3, 100), vec![responsive; 100], header(2, 4, 8), vec![working; 8]];
        let end = vec![0; HEADER];
        let [first, one, second, other] = &messages;
        let sent = [
            &[working, working],
            &first[..],
            one,
            &[responsive],
            second,
            other,
            &[responsive, working, responsive],
            &end,
        ]
        .concat();
        for size in 1..=sent.len() {
            let mut frames = Frames::new(2..4);
            let (mut arrived, mut beats): (Vec<u8>, Vec<Heartbeat>) = Default::default();
            for piece in sent.chunks(size) {
                let mut piece = piece.to_vec();
                let (left, heartbeat) = frames.sift(&mut piece).unwrap();
                arrived.extend(&piece[..left]);
                beats.extend(heartbeat);
            }
            assert!(frames.ended && !frames.between());
            assert_eq!(arrived, [&messages.concat()[..], &end].concat(), "{size}");
            if size == 1 {
                use Heartbeat::{Responsive, Working};
                let expected = [Working(5), Working(5), Responsive, Responsive, Working(5), Responsive];
                assert_eq!(beats, expected);
            }
            assert!(frames.sift(&mut [responsive]).unwrap_err().contains("after its end"));
        }
    }

    #[test]
    fn zeros_within_a_message_are_no_end() {
        let mut frames = Frames::new(0..1);
        frames.follow(&[header(0, 1, 4096), vec![0; 4000]].concat()).unwrap();
        assert!(!frames.ended);
    }

    #[test]
    fn messages_for_others_and_of_absurd_lengths_are_refused() {
        for (first, end) in [(1, 2), (3, 5), (3, 3), (4, 3)] {
            assert!(Frames::new(2..4).follow(&header(first, end, 8)).is_err(), "{first} {end}");
        }
        assert!(Frames::new(2..4).follow(&header(2, 3, u64::MAX)).is_err());
    }
}
