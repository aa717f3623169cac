//! The layout of activations: the samples of a group side by side.

/// Activations of a shard (a micro-batch): `[groups][rows][channels][columns][lanes]`.
///
/// A *group* is as many samples as the kernels compute at once, [`Kernel::lanes`](crate::Kernel::lanes): so
/// an unstructured sparse weight costs one instruction per group however irregular its neighbours are. Sample
/// `n` lies in group `n / lanes`, lane `n % lanes`. Channels lie between rows and columns so that the rows
/// which a strip of output pixels reads are close together.
pub type Activations = ndarray::Array5<f32>;

/// How many of the samples lie in group `group` of `lanes`.
pub(crate) fn samples_in(group: usize, samples: usize, lanes: usize) -> usize {
    samples.saturating_sub(group * lanes).min(lanes)
}
