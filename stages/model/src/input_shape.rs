//! The shape of a sample.

/// The shape of the samples a network reads, and of every value; a list of features has them as channels of
/// one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputShape {
    /// Colour planes.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl std::fmt::Display for InputShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

impl InputShape {
    /// Numbers per sample.
    pub(crate) fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Output positions per channel.
    pub(crate) fn positions(&self) -> usize {
        self.height * self.width
    }

    /// Numbers in one row of pixels: all channels.
    pub(crate) fn row(&self) -> usize {
        self.channels * self.width
    }
}
