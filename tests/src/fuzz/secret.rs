//! The secret that the processes of a cluster share.

use spfde::cluster::Secret;

/// Whatever has a fitting length is one, and white space around it does not count.
pub(super) fn run(bytes: &[u8]) {
    let fits = (16..=4096).contains(&bytes.trim_ascii().len());
    assert_eq!(Secret::new("secret", bytes).is_ok(), fits);
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let hexadecimal = "0123456789abcdef".repeat(4) + "\n";
    let longest = [vec![0xE9; 4096], b"\r\n".to_vec()].concat();
    vec![
        ("hexadecimal", hexadecimal.into()),
        ("longest", longest),
        ("shortest", b" 0123456789abcdef".to_vec()),
    ]
}
