//! Strangers: programs that are no process of `spfde`, and keep no process of it from its work.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::{WORDS, connect, end, greet, hear, hosts, start};
use crate::place::Place;

#[test]
fn strangers_are_dropped_and_the_wait_goes_on() {
    let place = Place::with_data();
    let addresses = hosts(&place, 2);
    let mut first = start(&place, &[&WORDS[..], &["--run-dir", "run"]].concat(), "0");
    let mut requests = connect(&addresses[0]);
    requests.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(requests.read(&mut [0; 100]).unwrap_or(0), 0, "no answer but the end");
    let mut noisy = connect(&addresses[0]);
    let _ = noisy.write_all(&[0xff; 1 << 16]);
    let mut said = hear(&mut first, "was dropped: it is no process of spfde; still waiting");
    // A stranger that knows the first words, and speaks another version; then one that ends in the middle.
    assert_eq!(&greet(&addresses[0]), b"spfde processes\n\x07\0\0\0");
    said += &hear(&mut first, "was dropped: it speaks version 9 of the protocol");
    let mut half = connect(&addresses[0]);
    half.write_all(b"spfde proc").unwrap();
    drop(half);
    // A stranger that keeps silent keeps no process waiting. There are more of them than process 0 tells of.
    let silent: Vec<TcpStream> = (0..20).map(|_| connect(&addresses[0])).collect();
    let other = end(start(&place, &WORDS, "1")).done();
    assert!(other.err.is_empty(), "{other:?}");
    let first = end(first).done();
    said += &first.err;
    assert!(!said.contains("panicked"), "{said}");
    drop(silent);
}

#[test]
fn a_crowd_that_keeps_silent_keeps_nobody_out() {
    let place = Place::with_data();
    let addresses = hosts(&place, 2);
    let first = start(&place, &[&WORDS[..], &["--run-dir", "run"]].concat(), "0");
    // It answers by now.
    greet(&addresses[0]);
    let silent: Vec<TcpStream> = (0..80).map(|_| connect(&addresses[0])).collect();
    end(start(&place, &[&WORDS[..], &["--wait", "9"]].concat(), "1")).done();
    end(first).done();
    drop(silent);
}

/// The next message of a process: its length, then as many bytes.
fn message(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn send(stream: &mut TcpStream, bytes: &[u8]) {
    let length = (bytes.len() as u32).to_le_bytes();
    stream.write_all(&[&length[..], bytes].concat()).unwrap();
}

#[test]
fn a_message_of_absurd_length_is_refused_before_memory_is_taken() {
    let place = Place::with_data();
    let addresses = hosts(&place, 2);
    let mut first = start(&place, &[&WORDS[..], &["--run-dir", "run"]].concat(), "0");
    let mut stream = connect(&addresses[0]);
    stream.write_all(b"spfde processes\n\x07\0\0\0\xff\xff\xff\xff").unwrap();
    hear(&mut first, "was dropped: it sent a message of 4294967295 bytes; still waiting");
    end(start(&place, &WORDS, "1")).done();
    end(first).done();
}

#[test]
fn a_stranger_in_the_place_of_process_0_is_not_obeyed() {
    let place = Place::with_data();
    let addresses = hosts(&place, 2);
    let stranger = TcpListener::bind(&addresses[0]).unwrap();
    let other = start(&place, &WORDS, "1");
    let (mut stream, _) = stranger.accept().unwrap();
    drop(stranger);
    let mut hello = [0; 20];
    stream.read_exact(&mut hello).unwrap();
    // It knows the words, and cannot know the proof.
    stream.write_all(&hello).unwrap();
    let nonce = message(&mut stream);
    send(&mut stream, &nonce);
    message(&mut stream);
    send(&mut stream, br#"{"Err":"away"}"#);
    drop(stream);
    end(start(&place, &[&WORDS[..], &["--run-dir", "run"]].concat(), "0")).done();
    let other = end(other).done();
    let note = "does not fit together with this process: away; still trying";
    assert!(other.err.contains(note), "{other:?}");
}
