//! The shape of images as a word: `3x32x32`.

use spfde_data::{ParameterError, Value};
use spfde_model::InputShape;

use super::SHAPE;

/// The greatest extent of images in any direction: larger ones are a slip of the finger.
const MOST: usize = 4096;

/// Reads `CHANNELSxROWSxCOLUMNS`.
///
/// # Errors
/// If it is anything else, or an extent is not from 1 to 4096.
pub(super) fn parse(value: &Value) -> Result<InputShape, ParameterError> {
    let extents: Option<Vec<usize>> = match value {
        Value::Text(text) => text.split('x').map(extent).collect(),
        _ => None,
    };
    match extents.as_deref() {
        Some(&[channels, height, width]) => Ok(InputShape { channels, height, width }),
        _ => Err(ParameterError::Range {
            key: SHAPE.into(),
            value: value.clone(),
            range: format!("CHANNELSxROWSxCOLUMNS such as 3x32x32, each from 1 to {MOST}"),
        }),
    }
}

/// An extent; signs and blanks, which `parse` would take, are not part of one.
fn extent(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|extent| digits && (1..=MOST).contains(extent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_three_extents_and_nothing_else() {
        let text = |text: &str| parse(&Value::Text(text.into()));
        assert_eq!(text("3x32x24"), Ok(InputShape { channels: 3, height: 32, width: 24 }));
        assert_eq!(text("1x1x4096"), Ok(InputShape { channels: 1, height: 1, width: 4096 }));
        let bad = ["", "x", "3x32", "3x32x32x1", "3X32X32", "0x32x32", "3x32x4097", "3x32x-1", "3x32x+1"];
        for bad in bad.into_iter().chain(["3x32x 1", "3x32xmany", "3x32x99999999999999999999"]) {
            let error = text(bad).unwrap_err().to_string();
            let start = format!("`data.shape` = \"{bad}\" is out of range: CHANNELSxROWSxCOLUMNS such as");
            assert!(error.starts_with(&start), "{error}");
        }
        assert!(
            parse(&Value::Integer(784)).unwrap_err().to_string().starts_with("`data.shape` = 784 is out")
        );
    }
}
