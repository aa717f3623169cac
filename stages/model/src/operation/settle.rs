//! Settling: what happens to a gradient as soon as it is complete.
//!
//! It passes the ReLU in front of it and is summed up for the batch norms or biases behind which it arrives.
//! The convolution that completes it does so before it writes it; see [`Settling`].

use crate::description::{InputShape, LayerDescription, STRIP};
use crate::kernel::{Buffer, Extents, Finish, Gather, Settling, Sign, Stored, Strip, Taps, gather};
use crate::operation::Pass;

/// The settling of one gradient.
pub(crate) struct Settlement {
    /// The layers behind which it arrives, with two lanes per channel for those that are to be trained.
    layers: Vec<(usize, Buffer<f32>)>,
}

impl Settlement {
    /// Begins to settle the gradient of `value`.
    pub(crate) fn of<S: Stored>(pass: &mut Pass<'_, S>, value: usize) -> Self {
        let layers: Vec<_> =
            pass.description.layers_behind(value).map(|layer| (layer, Buffer::default())).collect();
        layers.iter().for_each(|(layer, _)| pass.clear_moments(*layer));
        Self { layers }
    }

    /// What a kernel needs to settle the gradient of a group; nothing if there is nothing to do.
    pub(crate) fn group<'a, S: Stored>(&'a mut self, pass: &'a Pass<'_, S>) -> Vec<Settling<'a, S>> {
        let settlings = self.layers.iter_mut().enumerate().filter_map(|(position, (layer, sums))| {
            let LayerDescription { geometry, value, sum } = &pass.description.layers[*layer];
            let trained = pass.is_trained(*layer);
            sums.clear(if trained { 2 * geometry.outputs() * pass.lanes() } else { 0 });
            // It has to pass the ReLU once.
            let sign = match sum {
                Some(sum) if position == 0 => Sign::Of(pass.value(*sum)),
                None if pass.description.producer(*value).is_some_and(|producer| producer.relu) => Sign::Own,
                _ => Sign::Always,
            };
            let (output, channels) = (pass.value(*value), &pass.workspace.channels[*layer][..]);
            let settling = Settling { output, channels, sign, sums: &mut sums[..] };
            (trained || !matches!(sign, Sign::Always)).then_some(settling)
        });
        settlings.collect()
    }

    /// Takes the sums of a group, all of whose rows have been settled.
    pub(crate) fn close_group<S: Stored>(&self, pass: &mut Pass<'_, S>) {
        for (layer, sums) in &self.layers {
            pass.add_moments(*layer, sums);
        }
    }
}

/// Settles the gradient of `value` in a pass of its own: adds nothing to it.
pub(crate) fn whole<S: Stored>(pass: &mut Pass<'_, S>, value: usize) {
    let mut settlement = Settlement::of(pass, value);
    let (mut gradient, _) = pass.take_gradient(value).expect("it has been computed");
    let shape = pass.description.shapes[value];
    let InputShape { channels: rows, height, width } = shape;
    let extents = Extents { rows, columns: 1, block: 1, lanes: pass.lanes() };
    let (nothing, mut partials) = (Taps::new(extents, std::iter::empty()), Buffer::default());
    for group in 0..pass.groups {
        let mut settlings = settlement.group(pass);
        let rows = if settlings.is_empty() { 0 } else { height };
        for row in (0..rows).step_by(STRIP) {
            let strip = Strip {
                source_step: 1,
                target: pass.start(value, group) + row * shape.row(),
                target_row: shape.row(),
                target_channel: width,
                target_step: 1,
                rows: STRIP.min(height - row),
                columns: width,
                ..Strip::default()
            };
            let (target, finish) = (&mut gradient[..pass.numbers(value)], Finish::Settle(&mut settlings));
            let partials = &mut partials;
            let job = Gather { strip, source: &[], target, accumulate: true, finish, partials };
            gather(pass.kernel, &nothing, job);
        }
        settlement.close_group(pass);
    }
    pass.put_gradient(value, gradient);
}
