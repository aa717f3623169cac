//! Gradients on their way back through ReLU and batch norm.
//!
//! A gradient is settled when the last reader of a signal has added its part: it passes the ReLU, and the
//! sums that a batch norm needs are taken, while its rows are still in the cache. With these sums known, the
//! gradient of the batch norm's input is affine in the settled gradient and in that input; see [`Channel`].
//! It is computed while it is packed.

use crate::kernel::elementwise::{Channel, PackedRow, SignalRow};
use crate::kernel::vector::{LaneMask, Vector};
use crate::kernel::{Stored, entry};

/// Where the gradient passes a ReLU.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign<'a, S> {
    /// There is no ReLU, or the gradient has passed it.
    Always,
    /// Where the layer's own output, normalised, is above 0.
    Own,
    /// Where this stored row is above 0.
    Row(&'a [S]),
}

entry! {
    /// Lets a complete `gradient` g behind the batch norm or bias of a layer, of whose output `z` is the row,
    /// pass the ReLU, in place. Where `sums` is not empty it holds two lanes per channel, to which the sums
    /// of g and of `g · (z − mean)` are added.
    ///
    /// # Panics
    /// If the slices do not fit together.
    fn settle<S>(
        gradient: &mut [S],
        z: &SignalRow<'_, S>,
        sign: Sign<'_, S>,
        sums: &mut [f32],
    ) = settle_body
}

#[inline(always)]
fn settle_body<V: Vector, S: Stored>(
    gradient: &mut [S],
    z: &SignalRow<'_, S>,
    sign: Sign<'_, S>,
    sums: &mut [f32],
) {
    assert_eq!(gradient.len(), z.lanes.len(), "rows of one length");
    let width = z.width * V::LANES;
    let channels = z.affine.expect("a gradient settles behind a layer");
    let mut sums = sums.chunks_exact_mut(2 * V::LANES);
    let pixels = gradient.chunks_exact_mut(width).zip(z.lanes.chunks_exact(width));
    for (number, (g, z)) in pixels.enumerate() {
        let (sums, channel) = (sums.next(), &channels[number]);
        let minus_mean = V::splat(-channel.mean);
        match sign {
            Sign::Always => settle_channel(g, z, minus_mean, sums, Gate::Everywhere),
            Sign::Own => {
                let gate = Gate::WhereOwn { scale: V::splat(channel.scale), shift: V::splat(channel.shift) };
                settle_channel(g, z, minus_mean, sums, gate);
            }
            Sign::Row(sign) => {
                let gate = Gate::WhereRow(&sign[number * width..][..width]);
                settle_channel(g, z, minus_mean, sums, gate);
            }
        }
    }
}

/// Sums that grow side by side, so that one addition need not wait for the other.
const CHAINS: usize = 4;

#[inline(always)]
fn settle_channel<V: Vector, S: Stored>(
    g: &mut [S],
    z: &[S],
    minus_mean: V,
    sums: Option<&mut [f32]>,
    gate: Gate<'_, V, S>,
) {
    let mut chains = [[V::zero(); 2]; CHAINS];
    let mut gradients = g.chunks_exact_mut(CHAINS * V::LANES);
    let mut outputs = z.chunks_exact(CHAINS * V::LANES);
    let mut first = 0;
    for (g, z) in (&mut gradients).zip(&mut outputs) {
        let lanes = g.chunks_exact_mut(V::LANES).zip(z.chunks_exact(V::LANES));
        for ((lane, (g, z)), chain) in lanes.enumerate().zip(&mut chains) {
            gate.settle(first + lane, g, z, minus_mean, chain);
        }
        first += CHAINS;
    }
    let last = gradients.into_remainder().chunks_exact_mut(V::LANES);
    let last = last.zip(outputs.remainder().chunks_exact(V::LANES));
    for ((lane, (g, z)), chain) in last.enumerate().zip(&mut chains) {
        gate.settle(first + lane, g, z, minus_mean, chain);
    }
    if let Some(sums) = sums {
        for (sum, total) in sums.chunks_exact_mut(V::LANES).enumerate() {
            let [a, b, c, d] = chains.map(|chain| chain[sum]);
            V::read(total).add(a.add(b).add(c.add(d))).write(total);
        }
    }
}

/// What a ReLU lets pass. Every call has one variant, so that loops do not ask which. Not a closure, because
/// closures cannot be told to be inlined where the instructions are.
#[derive(Clone, Copy)]
enum Gate<'a, V, S> {
    Everywhere,
    WhereOwn { scale: V, shift: V },
    WhereRow(&'a [S]),
}

impl<V: Vector, S: Stored> Gate<'_, V, S> {
    #[inline(always)]
    fn settle(self, pixel: usize, gradient: &mut [S], z: &[S], minus_mean: V, chain: &mut [V; 2]) {
        let (g, z) = (V::read(gradient), V::read(z));
        let g = match self {
            Self::Everywhere => g,
            Self::WhereOwn { scale, shift } => g.where_positive(z.mul_add(scale, shift)),
            Self::WhereRow(sign) => g.where_positive(V::read(&sign[pixel * V::LANES..])),
        };
        g.write(gradient);
        chain[0] = chain[0].add(g);
        chain[1] = g.mul_add(z.add(minus_mean), chain[1]);
    }
}

entry! {
    /// Writes the gradient of the output of a layer, of which `z` is the row, from the settled `gradient`
    /// behind its batch norm or bias, where `mask` says that there is a sample, elsewhere 0.
    ///
    /// # Panics
    /// If the row does not fit its target.
    fn pack_gradient<S>(
        gradient: &[S],
        z: &SignalRow<'_, S>,
        mask: LaneMask,
        target: PackedRow<'_>,
    ) = pack_body
}

#[inline(always)]
fn pack_body<V: Vector, S: Stored>(
    gradient: &[S],
    z: &SignalRow<'_, S>,
    mask: LaneMask,
    mut target: PackedRow<'_>,
) {
    let (width, step) = (z.width * V::LANES, target.pixel_step);
    let channels = z.affine.expect("a gradient arrives behind a layer");
    let z_width = z.width;
    let pixels = gradient.chunks_exact(width).zip(z.lanes.chunks_exact(width));
    for (number, (g, z)) in pixels.enumerate() {
        let Channel { slope, output_slope, constant, .. } = channels[number];
        let [slope, output_slope, constant] = [V::splat(slope), V::splat(output_slope), V::splat(constant)];
        let target = target.channel::<V>(number, z_width).step_by(step);
        let lanes = g.chunks_exact(V::LANES).zip(z.chunks_exact(V::LANES));
        for (target, (g, z)) in target.zip(lanes) {
            let value = V::read(g).mul_add(slope, V::read(z).mul_add(output_slope, constant));
            value.keep(&mask).write(target);
        }
    }
}
