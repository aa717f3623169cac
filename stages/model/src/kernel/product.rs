//! Sparse or dense: which kernel computes a layer's products.

use crate::kernel::dense::{Panels, gather_dense};
use crate::kernel::gather::{Gather, gather};
use crate::kernel::taps::{Extents, Tap, Taps};
use crate::kernel::{Kernel, Stored};

/// The kernel that computes a layer's outputs and the gradient of its inputs.
///
/// It follows the layer's density alone, so that the same run takes the same kernels everywhere. The gradient
/// of the weights takes one and the same kernel at every density.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Weights that do not exist cost nothing.
    Sparse,
    /// Weights that do not exist are multiplied as zeros, at a higher rate.
    Dense,
}

impl Form {
    /// The share of a layer's weights from which on it is computed densely: where the dense kernel's time,
    /// which does not depend on the density, and the sparse kernel's meet.
    pub const DENSE_FROM: f64 = 0.75;

    /// The form of a layer of which `existing` of `weights` weights exist.
    pub fn of(existing: usize, weights: usize) -> Self {
        if existing as f64 >= Self::DENSE_FROM * weights as f64 { Self::Dense } else { Self::Sparse }
    }

    /// `sparse` or `dense`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sparse => "sparse",
            Self::Dense => "dense",
        }
    }
}

/// A layer's weights in the order in which the product kernel of its form runs over them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Product {
    /// The existing weights; of a dense layer only where they serve the gradient of the weights.
    pub(crate) taps: Taps,
    /// Those of a dense layer.
    panels: Option<Panels>,
}

impl Product {
    /// Sorts `taps`; if `tallies`, in an order that serves the gradient of the weights, too.
    ///
    /// # Panics
    /// If an offset does not fit 32 bits of bytes.
    pub(crate) fn new(
        form: Form,
        extents: Extents,
        taps: impl Iterator<Item = Tap> + Clone,
        tallies: bool,
    ) -> Self {
        let panels = (form == Form::Dense).then(|| Panels::new(extents, taps.clone()));
        let taps = if tallies || panels.is_none() { Taps::new(extents, taps) } else { Taps::default() };
        Self { taps, panels }
    }

    /// Takes the weights from the layer's list.
    pub(crate) fn refresh(&mut self, values: &[f32]) {
        match &mut self.panels {
            None => self.taps.refresh(values),
            Some(panels) => panels.refresh(values),
        }
    }

    /// Writes, for each channel and pixel of the strip, the sum of weights times the lanes they point at.
    ///
    /// # Panics
    /// If strip and slices do not fit the layer.
    pub(crate) fn gather<N: Stored>(&self, kernel: Kernel, job: Gather<'_, '_, N>) {
        match &self.panels {
            None => gather(kernel, &self.taps, job),
            Some(panels) => gather_dense(kernel, panels, job),
        }
    }
}
