//! Settling: what happens to a gradient as soon as it is complete.
//!
//! It passes the ReLU in front of it and is summed up for the batch norms or biases behind which it arrives.
//! The operation that completes it does so row by row, right after writing them, while they are in the cache.

use std::ops::Range;

use crate::description::LayerDescription;
use crate::kernel::{Buffer, Sign, Stored, settle};
use crate::operation::Pass;

/// The settling of one gradient.
pub(crate) struct Settlement {
    value: usize,
    /// The layers behind which it arrives, with two lanes per channel for those that are to be trained.
    layers: Vec<(usize, Buffer<f32>)>,
}

impl Settlement {
    /// Begins to settle the gradient of `value`.
    pub(crate) fn of<S: Stored>(pass: &mut Pass<'_, S>, value: usize) -> Self {
        let layers: Vec<_> =
            pass.description.layers_behind(value).map(|layer| (layer, Buffer::default())).collect();
        layers.iter().for_each(|(layer, _)| pass.clear_moments(*layer));
        Self { value, layers }
    }

    /// Settles `rows` of a group in `gradient`, the whole of the gradient's buffer.
    pub(crate) fn rows<S: Stored>(
        &mut self,
        pass: &Pass<'_, S>,
        group: usize,
        rows: Range<usize>,
        gradient: &mut [S],
    ) {
        for row in rows {
            let range = pass.row_range(self.value, group, row);
            for (position, (layer, sums)) in self.layers.iter_mut().enumerate() {
                let LayerDescription { geometry, value, sum } = &pass.description.layers[*layer];
                let trained = pass.is_trained(*layer);
                if row == 0 {
                    sums.clear(if trained { 2 * geometry.outputs() * pass.lanes() } else { 0 });
                }
                let output = pass.signal_row(*value, group, row);
                // It has to pass the ReLU once.
                let sign = match sum {
                    Some(sum) if position == 0 => Sign::Row(&pass.value(*sum)[range.clone()]),
                    None if output.relu => Sign::Own,
                    _ => Sign::Always,
                };
                if trained || !matches!(sign, Sign::Always) {
                    settle(pass.kernel, &mut gradient[range.clone()], &output, sign, sums);
                }
            }
        }
    }

    /// Takes the sums of a group, all of whose rows have been settled.
    pub(crate) fn close_group<S: Stored>(&self, pass: &mut Pass<'_, S>) {
        for (layer, sums) in &self.layers {
            pass.add_moments(*layer, sums);
        }
    }
}

/// Settles the gradient of `value` in a pass of its own.
pub(crate) fn whole<S: Stored>(pass: &mut Pass<'_, S>, value: usize) {
    let mut settlement = Settlement::of(pass, value);
    let (mut gradient, _) = pass.take_gradient(value).expect("it has been computed");
    for group in 0..pass.groups {
        settlement.rows(pass, group, 0..pass.description.shapes[value].height, &mut gradient);
        settlement.close_group(pass);
    }
    pass.put_gradient(value, gradient);
}
