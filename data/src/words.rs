//! Words of messages that depend on a number.

use std::fmt::Display;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fit_the_number() {
        assert_eq!([0, 1, 2].map(|count: u32| counted(count, "epoch")), ["0 epochs", "1 epoch", "2 epochs"]);
        assert_eq!([1, 10].map(|count: usize| counted(count, "class")), ["1 class", "10 classes"]);
        assert_eq!([0, 1, 2].map(|count: u64| are(count)), ["are", "is", "are"]);
    }
}
