//! Words of messages: those that depend on a number, and those that come from outside.

use std::borrow::Cow;
use std::fmt::{Display, Write};

/// `count` of what `noun` names one of, in a number that fits: `1 epoch`, `16 epochs`, `10 classes`.
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let ending = match (count == N::from(1), noun.ends_with('s')) {
        (true, _) => "",
        (false, true) => "es",
        (false, false) => "s",
    };
    format!("{count} {noun}{ending}")
}

/// `is` of one, `are` of any other number.
pub fn are<N: PartialEq + From<u8>>(count: N) -> &'static str {
    if count == N::from(1) { "is" } else { "are" }
}

/// `text` with its control characters escaped: on a terminal it does nothing, and it stays on one line. The
/// escapes are those of JSON and TOML, whose quoted texts stay what they are.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            letter if letter.is_control() => {
                write!(escaped, "\\u{:04x}", u32::from(letter)).expect("text grows");
            }
            letter => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fit_the_number() {
        assert_eq!([0, 1, 2].map(|count: u32| counted(count, "epoch")), ["0 epochs", "1 epoch", "2 epochs"]);
        assert_eq!([1, 10].map(|count: usize| counted(count, "class")), ["1 class", "10 classes"]);
        assert_eq!([0, 1, 2].map(|count: u64| are(count)), ["are", "is", "are"]);
    }

    #[test]
    fn control_characters_are_escaped_and_nothing_else_is() {
        assert_eq!(visible("runs/größe → \\1"), "runs/größe → \\1");
        assert_eq!(
            visible("a\nb\r\tc\0\u{1b}[31m\u{7f}\u{9b}K"),
            "a\\nb\\r\\tc\\u0000\\u001b[31m\\u007f\\u009bK"
        );
        let text = "\u{7f}\u{9b}\u{1b}\"\n";
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(serde_json::from_str::<String>(&visible(&json)).unwrap(), text);
    }
}
