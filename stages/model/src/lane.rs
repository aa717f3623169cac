//! The layout of activations: eight samples side by side.

/// Samples in a [`Lane`].
pub const LANES: usize = 8;

/// One value of each of eight samples.
///
/// Everything a kernel does happens to eight samples at once, so an unstructured sparse weight costs one
/// instruction per eight multiply-adds however irregular its neighbours are.
#[repr(C, align(32))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lane(pub [f32; LANES]);

impl Lane {
    /// Zero for every sample.
    pub const ZERO: Self = Self([0.0; LANES]);

    /// The sum of the eight values, always added in the same order.
    pub(crate) fn sum(&self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

/// Activations of a shard (a micro-batch): `[samples / 8][rows][channels][columns]`, samples in lanes.
///
/// Sample `n` lies in group `n / 8`, lane `n % 8`. Channels lie between rows and columns so that the rows
/// which a strip of output pixels reads are close together.
pub type Activations = ndarray::Array4<Lane>;

/// How many groups of eight hold `samples` samples.
pub(crate) fn groups(samples: usize) -> usize {
    samples.div_ceil(LANES)
}

/// How many of the samples lie in group `group`.
pub(crate) fn samples_in(group: usize, samples: usize) -> usize {
    samples.saturating_sub(group * LANES).min(LANES)
}
