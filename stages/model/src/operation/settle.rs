//! Settling: what happens to a gradient as soon as it is complete.
//!
//! It passes the ReLU in front of it and is summed up for the batch norms or biases behind which it arrives.
//! The operation that completes it does so row by row, right after writing them, while they are in the cache.

use std::ops::Range;

use crate::description::{Consumer, Operation, Signal};
use crate::kernel::{Sign, UnsettledRow, settle};
use crate::lane::Lane;
use crate::operation::{Pass, affine};
use crate::workspace::clear;

/// The settling of one gradient.
pub(crate) struct Settlement {
    value: usize,
    /// The layers behind which it arrives, with two lanes per channel for those that are to be trained.
    layers: Vec<(usize, Vec<Lane>)>,
}

impl Settlement {
    /// Begins to settle the gradient of an input of `operation`, if that operation completes it and there is
    /// anything to settle.
    pub(crate) fn of_input(pass: &mut Pass<'_>, operation: &Operation, input: Signal) -> Option<Self> {
        let value = input.value;
        let completes = pass.schedule.completes[value] == Some(operation.number());
        if completes { Self::of(pass, value) } else { None }
    }

    /// Begins to settle the gradient of `value`.
    fn of(pass: &mut Pass<'_>, value: usize) -> Option<Self> {
        let begun = |layer: usize| {
            pass.workspace.statistics[layer].gradient_moments.fill([0.0; 2]);
            (layer, vec![])
        };
        let layers: Vec<_> = pass.description.layers_behind(value).map(begun).collect();
        (!layers.is_empty()).then_some(Self { value, layers })
    }

    /// Settles `rows` of a group in `gradient`, the whole of the gradient's buffer.
    pub(crate) fn rows(&mut self, pass: &Pass<'_>, group: usize, rows: Range<usize>, gradient: &mut [Lane]) {
        for row in rows {
            let range = pass.row_range(self.value, group, row);
            for (position, (layer, sums)) in self.layers.iter_mut().enumerate() {
                let statistics = &pass.workspace.statistics[*layer];
                let description = &pass.description.layers[*layer];
                let channels = description.geometry.outputs();
                let trained = affine::is_trained(pass, *layer);
                if row == 0 {
                    clear(sums, if trained { 2 * channels } else { 0 });
                }
                // It has to pass the ReLU once.
                let sign = match description.consumer {
                    Consumer::Reader { relu: true } => Sign::Own(&statistics.coefficients),
                    Consumer::Addition { sum } if position == 0 => {
                        Sign::Stored(&pass.value(sum)[range.clone()])
                    }
                    Consumer::Reader { relu: false } | Consumer::Addition { .. } => Sign::Always,
                };
                if trained || !matches!(sign, Sign::Always) {
                    let output = &pass.value(description.value)[range.clone()];
                    let width = pass.description.values[self.value].shape.width;
                    let row = UnsettledRow { gradient: &mut gradient[range.clone()], output, sign, width };
                    settle(pass.kernel, row, &statistics.mean, sums);
                }
            }
        }
    }

    /// Takes the sums of a group, all of whose rows have been settled. Lanes without a sample are 0: packing
    /// has made the gradients there 0.
    pub(crate) fn close_group(&self, pass: &mut Pass<'_>) {
        for (layer, sums) in &self.layers {
            affine::fold(sums, &mut pass.workspace.statistics[*layer].gradient_moments);
        }
    }
}

/// Settles the gradient of an input of `operation` in a pass of its own, if that operation has completed it.
pub(crate) fn input(pass: &mut Pass<'_>, operation: &Operation, input: Signal) {
    if pass.contributes(input)
        && let Some(settlement) = Settlement::of_input(pass, operation, input)
    {
        whole(pass, settlement);
    }
}

/// Settles the gradient of the logits.
pub(crate) fn logits(pass: &mut Pass<'_>) {
    if let Some(settlement) = Settlement::of(pass, pass.description.logits.value) {
        whole(pass, settlement);
    }
}

fn whole(pass: &mut Pass<'_>, mut settlement: Settlement) {
    let height = pass.description.values[settlement.value].shape.height;
    let (mut gradient, _) = pass.take_gradient(settlement.value);
    for group in 0..pass.groups {
        settlement.rows(pass, group, 0..height, &mut gradient);
        settlement.close_group(pass);
    }
    pass.put_gradient(settlement.value, gradient);
}
