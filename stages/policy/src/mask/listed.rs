//! Densities of single layers, as a configuration lists them.

use spfde_data::{LayerShape, ParameterError, nearest};

/// The key of the list. A configuration may write it as a table of names and densities.
pub const DENSITIES: &str = "mask.densities";

/// The density that the list has for each layer: the last whose name matches.
///
/// # Errors
/// If an entry is no pair of a name and a density above 0 and up to 1, or its name matches no layer.
pub(super) fn densities(list: &str, layers: &[LayerShape]) -> Result<Vec<Option<f64>>, ParameterError> {
    let wrong = |reason: String| ParameterError::contradiction(DENSITIES, reason);
    let mut densities = vec![None; layers.len()];
    let list = list.trim();
    let list = list.strip_prefix('{').and_then(|list| list.strip_suffix('}')).unwrap_or(list);
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let pair =
            entry.split_once('=').map(|(name, density)| (name.trim().trim_matches('"'), density.trim()));
        let parsed = pair.and_then(|(name, density)| Some((name, density.parse::<f64>().ok()?)));
        let Some((name, density)) = parsed.filter(|(_, density)| *density > 0.0 && *density <= 1.0) else {
            let expected = "expected pairs such as block1.*=0.2, densities above 0 and up to 1";
            return Err(wrong(format!("`{entry}` is no name with a density; {expected}")));
        };
        let mut matched = false;
        for (layer, own) in layers.iter().zip(&mut densities) {
            if matches(name, &layer.name) {
                (matched, *own) = (true, Some(density));
            }
        }
        if !matched {
            let near = nearest(name, layers.iter().map(|layer| layer.name.as_str()));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err(wrong(format!("no layer is called `{name}`{near}")));
        }
    }
    Ok(densities)
}

/// Whether a name is one of those that a pattern stands for: `*` is any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().expect("a split has a part");
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn names_and_patterns_give_densities_and_the_last_holds() {
        let network = example::residual(&[4, 8], 1, 8);
        let list = "block1.*=0.25, \"block1.convolution2\" = 0.5, *shortcut=1";
        let found = densities(list, &network.layers).unwrap();
        assert_eq!(densities(&format!("{{ {list} }}"), &network.layers).unwrap(), found);
        let named: Vec<(&str, f64)> = network
            .layers
            .iter()
            .zip(found)
            .filter_map(|(layer, density)| Some((layer.name.as_str(), density?)))
            .collect();
        let expected =
            [("block1.convolution1", 0.25), ("block1.convolution2", 0.5), ("block2.shortcut", 1.0)];
        assert_eq!(named, expected);
    }

    #[test]
    fn what_says_no_density_of_a_layer_is_refused() {
        let network = example::residual(&[4, 8], 1, 8);
        for (list, start) in [
            ("block1.*", "`mask.densities`: `block1.*` is no name with a density"),
            ("block1.*=0", "`mask.densities`: `block1.*=0` is no name"),
            ("block1.*=1.5", "`mask.densities`: `block1.*=1.5` is no name"),
            (
                "block1.convolution3=0.5",
                "`mask.densities`: no layer is called `block1.convolution3`; did you",
            ),
        ] {
            let error = densities(list, &network.layers).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "axbyc", true),
            ("a*b*c", "axc", false),
            ("a*c", "abcd", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
