//! Gradients on their way back through ReLU and batch norm.
//!
//! A gradient is settled when the last reader of a signal has added its part: it passes the ReLU, and the
//! sums that a batch norm needs are taken, while its rows are still in the cache. With these sums known, the
//! gradient of the batch norm's input is affine in the settled gradient and in that input: `gradient · g +
//! output · z + constant`. It is computed while it is packed.

use crate::kernel::elementwise::{Coefficients, PackedRow};
use crate::kernel::entry;
use crate::kernel::vector::{LaneMask, Vector};
use crate::lane::Lane;

/// Where the gradient passes a ReLU.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign<'a> {
    /// There is no ReLU, or the gradient has passed it.
    Always,
    /// Where the layer's own output, normalised, is above 0.
    Own(&'a [Coefficients]),
    /// Where this stored row is above 0.
    Stored(&'a [Lane]),
}

/// A row `[channels][width]` of a complete gradient that arrives at a layer's batch norm or bias.
#[derive(Debug)]
pub(crate) struct UnsettledRow<'a> {
    /// The gradient behind the ReLU; afterwards the one before it.
    pub(crate) gradient: &'a mut [Lane],
    /// The layer's output before batch norm or bias.
    pub(crate) output: &'a [Lane],
    pub(crate) sign: Sign<'a>,
    /// Pixels per channel.
    pub(crate) width: usize,
}

entry! {
    /// Lets the gradient `g` pass the ReLU, in place. Where `sums` is not empty it holds two lanes per
    /// channel, to which the sums of `g` and of `g · (z − mean)` are added.
    ///
    /// # Panics
    /// If the slices do not fit together.
    fn settle(row: UnsettledRow<'_>, mean: &[f32], sums: &mut [Lane]) = settle_body
}

#[inline(always)]
fn settle_body<V: Vector>(row: UnsettledRow<'_>, mean: &[f32], sums: &mut [Lane]) {
    let UnsettledRow { gradient, output, sign, width } = row;
    assert_eq!(gradient.len(), output.len(), "rows of one length");
    let mut sums = sums.chunks_exact_mut(2);
    let pixels = gradient.chunks_exact_mut(width).zip(output.chunks_exact(width));
    for (channel, (gradient, output)) in pixels.enumerate() {
        let sums = sums.next();
        let mean = V::splat(mean[channel]);
        match sign {
            Sign::Always => settle_channel(gradient, output, mean, sums, Gate::Everywhere),
            Sign::Own(coefficients) => {
                let Coefficients { scale, shift } = coefficients[channel];
                let (scale, shift) = (V::splat(scale), V::splat(shift));
                settle_channel(gradient, output, mean, sums, Gate::WhereOwn { scale, shift });
            }
            Sign::Stored(sign) => {
                let gate = Gate::WhereStored(&sign[channel * width..][..width]);
                settle_channel(gradient, output, mean, sums, gate);
            }
        }
    }
}

/// What a ReLU lets pass. Every call has one variant, so that loops do not ask which. Not a closure, because
/// closures cannot be told to be inlined where the instructions are.
#[derive(Clone, Copy)]
enum Gate<'a, V> {
    Everywhere,
    WhereOwn { scale: V, shift: V },
    WhereStored(&'a [Lane]),
}

impl<V: Vector> Gate<'_, V> {
    #[inline(always)]
    fn pass(self, pixel: usize, gradient: V, output: V) -> V {
        match self {
            Self::Everywhere => gradient,
            Self::WhereOwn { scale, shift } => gradient.where_positive(output.mul_add(scale, shift)),
            Self::WhereStored(sign) => gradient.where_positive(V::load(&sign[pixel])),
        }
    }
}

/// Sums that grow side by side, so that one addition need not wait for the other.
const CHAINS: usize = 4;

#[inline(always)]
fn settle_channel<V: Vector>(
    gradient: &mut [Lane],
    output: &[Lane],
    mean: V,
    sums: Option<&mut [Lane]>,
    gate: Gate<'_, V>,
) {
    let mut chains = [[V::zero(); 2]; CHAINS];
    let (gradients, last_gradients) = gradient.as_chunks_mut::<CHAINS>();
    let (outputs, last_outputs) = output.as_chunks::<CHAINS>();
    for (chunk, (gradients, outputs)) in gradients.iter_mut().zip(outputs).enumerate() {
        for (lane, chain) in chains.iter_mut().enumerate() {
            let pixel = chunk * CHAINS + lane;
            settle_pixel(pixel, &mut gradients[lane], &outputs[lane], mean, gate, chain);
        }
    }
    let first = outputs.len() * CHAINS;
    let last = last_gradients.iter_mut().zip(last_outputs);
    for ((lane, (gradient, output)), chain) in last.enumerate().zip(&mut chains) {
        settle_pixel(first + lane, gradient, output, mean, gate, chain);
    }
    if let Some(sums) = sums {
        for (sum, total) in sums.iter_mut().enumerate() {
            let [a, b, c, d] = chains.map(|chain| chain[sum]);
            V::load(total).add(a.add(b).add(c.add(d))).store(total);
        }
    }
}

#[inline(always)]
fn settle_pixel<V: Vector>(
    pixel: usize,
    gradient: &mut Lane,
    output: &Lane,
    mean: V,
    gate: Gate<'_, V>,
    chain: &mut [V; 2],
) {
    let z = V::load(output);
    let g = gate.pass(pixel, V::load(gradient), z);
    g.store(gradient);
    chain[0] = chain[0].add(g);
    chain[1] = g.mul_add(z.sub(mean), chain[1]);
}

/// A row `[channels][width]` of the settled gradient behind a layer's batch norm or bias.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GradientRow<'a> {
    pub(crate) gradient: &'a [Lane],
    /// The layer's output before batch norm or bias.
    pub(crate) output: &'a [Lane],
    /// Pixels per channel.
    pub(crate) width: usize,
}

/// The gradient of a layer's output in a channel: `gradient · g + output · z + constant`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slope {
    pub(crate) gradient: f32,
    pub(crate) output: f32,
    pub(crate) constant: f32,
}

entry! {
    /// Writes the gradient of the layer's output where `mask` says that there is a sample, elsewhere 0.
    ///
    /// # Panics
    /// If the row does not fit its target.
    fn pack_gradient(
        row: &GradientRow<'_>,
        slopes: &[Slope],
        mask: LaneMask,
        target: PackedRow<'_>,
    ) = pack_body
}

#[inline(always)]
fn pack_body<V: Vector>(row: &GradientRow<'_>, slopes: &[Slope], mask: LaneMask, mut target: PackedRow<'_>) {
    let step = target.pixel_step;
    let pixels = row.gradient.chunks_exact(row.width).zip(row.output.chunks_exact(row.width));
    for (channel, (gradients, outputs)) in pixels.enumerate() {
        let Slope { gradient, output, constant } = slopes[channel];
        let (by_gradient, by_output) = (V::splat(gradient), V::splat(output));
        let constant = V::splat(constant);
        let target = target.channel(channel, row.width);
        for ((target, g), z) in target.iter_mut().step_by(step).zip(gradients).zip(outputs) {
            let value = V::load(g).mul_add(by_gradient, V::load(z).mul_add(by_output, constant));
            value.keep(mask).store(target);
        }
    }
}
