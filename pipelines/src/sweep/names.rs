//! The names of the members of a sweep, from the keys in which they differ.

use std::collections::{BTreeMap, BTreeSet};

use spfde_data::Value;

use crate::grid::text;

/// Characters of a name; longer ones end with a hash of the whole.
const LONGEST: usize = 100;

/// The keys in which members with these settings differ, and a name for each: of `name` if it is alone.
///
/// A name is made of values: of texts as they are, of numbers behind the last part of their key. If two
/// members would have the same name so, all have names of whole keys.
pub(super) fn names(name: &str, settings: &[BTreeMap<String, Value>]) -> (Vec<String>, Vec<String>) {
    let known: BTreeSet<&String> = settings.iter().flat_map(BTreeMap::keys).collect();
    let differs = |key: &&String| settings.iter().any(|member| member.get(*key) != settings[0].get(*key));
    let keys: Vec<String> = known.into_iter().filter(differs).cloned().collect();
    if keys.is_empty() {
        return (keys, vec![name.to_owned(); settings.len()]);
    }
    let all = |part: fn(&str, &Value) -> String| -> Vec<String> {
        let of = |member: &BTreeMap<String, Value>| {
            let parts = keys.iter().filter_map(|key| Some(part(key, member.get(key)?)));
            fitted(&parts.collect::<Vec<_>>().join("-"))
        };
        settings.iter().map(of).collect()
    };
    let short = all(|key, value| match value {
        Value::Text(text) => text.clone(),
        number => format!("{}-{number}", key.rsplit('.').next().unwrap_or(key)),
    });
    let distinct = short.iter().collect::<BTreeSet<_>>().len() == short.len();
    let names = if distinct { short } else { all(|key, value| format!("{key}-{}", text(value))) };
    (keys, names)
}

/// A name of a directory: letters, digits and a few signs, and not too long. What had to be changed is told
/// apart by a hash.
fn fitted(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.+".contains(letter);
    let mut fitted: String = name.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect();
    // A name that begins with a point is hidden, one of nothing is none.
    if fitted != name || fitted.len() > LONGEST || fitted.is_empty() || fitted.starts_with('.') {
        fitted.truncate(LONGEST);
        fitted = format!("_{fitted}-{:.8}", blake3::hash(name.as_bytes()).to_hex());
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(members: &[&[(&str, Value)]]) -> Vec<String> {
        let member = |member: &&[(&str, Value)]| {
            member.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
        };
        names("alone", &members.iter().map(member).collect::<Vec<_>>()).1
    }

    #[test]
    fn names_tell_members_apart_whatever_their_values_are() {
        let word = |word: &str| Value::Text(word.to_owned());
        assert_eq!(of(&[&[("mask.policy", word("set"))]]), ["alone"]);
        // The same value of two keys.
        let clash = of(&[&[("freeze.policy", word("none"))], &[("sieve.policy", word("none"))]]);
        assert_eq!(clash, ["freeze.policy-none", "sieve.policy-none"]);
        let paths = of(&[&[("data.path", word("a/b"))], &[("data.path", word("a_b"))], &[]]);
        assert!(
            paths[0].starts_with("_a_b-") && paths[1] == "a_b" && paths[2].starts_with("_-"),
            "{paths:?}"
        );
        let long = of(&[&[("x.y", word(&"z".repeat(1000)))], &[("x.y", word(&"z".repeat(1001)))]]);
        assert!(long[0] != long[1] && long.iter().all(|name| name.len() < 120), "{long:?}");
        assert_eq!(of(&[&[("a.b", Value::Integer(1))], &[("a.b", Value::Number(0.5))]]), ["b-1", "b-0.5"]);
    }
}
