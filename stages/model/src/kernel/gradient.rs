//! Gradients on their way back through ReLU and batch norm.
//!
//! With the sums of a batch norm known, the gradient of its input is affine in the gradient of its output and in its
//! input: `gradient · g + output · z + constant`. It is computed while it is packed.

use crate::kernel::elementwise::{Coefficients, PackedRow};
use crate::kernel::entry;
use crate::kernel::vector::{LaneMask, Vector};
use crate::lane::Lane;

/// Where the gradient passes a ReLU.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign<'a> {
    /// There is no ReLU.
    Always,
    /// Where the layer's own output, normalised, is above 0.
    Own(Coefficients<'a>),
    /// Where this stored row is above 0.
    Stored(&'a [Lane]),
}

/// A row `[channels][width]` of the gradient that arrives at a layer's batch norm or bias.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GradientRow<'a> {
    /// The gradient behind the ReLU.
    pub(crate) upstream: &'a [Lane],
    /// The layer's output before batch norm or bias.
    pub(crate) output: &'a [Lane],
    pub(crate) sign: Sign<'a>,
    /// Pixels per channel.
    pub(crate) width: usize,
}

/// Channel by channel, the gradient of a layer's output: `gradient · g + output · z + constant`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slope<'a> {
    pub(crate) gradient: &'a [f32],
    pub(crate) output: &'a [f32],
    pub(crate) constant: &'a [f32],
}

impl GradientRow<'_> {
    /// Calls `each` with pixel, gradient before the ReLU and output for every pixel of `channel`.
    #[inline(always)]
    fn for_each<V: Vector>(&self, channel: usize, mut each: impl FnMut(usize, V, V)) {
        let range = channel * self.width..(channel + 1) * self.width;
        let (upstream, output) = (&self.upstream[range.clone()], &self.output[range.clone()]);
        let pixels = upstream.iter().zip(output).enumerate();
        match self.sign {
            Sign::Always => {
                for (pixel, (upstream, output)) in pixels {
                    each(pixel, V::load(upstream), V::load(output));
                }
            }
            Sign::Own(coefficients) => {
                let (scale, shift) =
                    (V::splat(coefficients.scale[channel]), V::splat(coefficients.shift[channel]));
                for (pixel, (upstream, output)) in pixels {
                    let output = V::load(output);
                    each(pixel, V::load(upstream).where_positive(output.mul_add(scale, shift)), output);
                }
            }
            Sign::Stored(sign) => {
                for ((pixel, (upstream, output)), sign) in pixels.zip(&sign[range]) {
                    each(pixel, V::load(upstream).where_positive(V::load(sign)), V::load(output));
                }
            }
        }
    }

    #[inline(always)]
    fn channels(&self) -> usize {
        self.upstream.len() / self.width
    }
}

entry! {
    /// Writes the gradient of the layer's output where `mask` says that there is a sample, elsewhere 0.
    ///
    /// # Panics
    /// If the row does not fit its target.
    fn pack_gradient(row: &GradientRow<'_>, slope: &Slope<'_>, mask: LaneMask, target: PackedRow<'_>) = pack_body
}

#[inline(always)]
fn pack_body<V: Vector>(row: &GradientRow<'_>, slope: &Slope<'_>, mask: LaneMask, mut target: PackedRow<'_>) {
    let step = target.pixel_step;
    for channel in 0..row.channels() {
        let gradient = V::splat(slope.gradient[channel]);
        let output = V::splat(slope.output[channel]);
        let constant = V::splat(slope.constant[channel]);
        let target = target.channel(channel, row.width);
        row.for_each::<V>(channel, |pixel, g, z| {
            let value = g.mul_add(gradient, z.mul_add(output, constant));
            value.keep(mask).store(&mut target[pixel * step]);
        });
    }
}

entry! {
    /// Adds to `sums`, two lanes per channel, the sums of the gradient `g` and of `g · (z − mean)`.
    ///
    /// # Panics
    /// If the slices do not fit together.
    fn reduce(row: &GradientRow<'_>, mean: &[f32], sums: &mut [Lane]) = reduce_body
}

#[inline(always)]
fn reduce_body<V: Vector>(row: &GradientRow<'_>, mean: &[f32], sums: &mut [Lane]) {
    for (channel, sums) in sums.chunks_exact_mut(2).take(row.channels()).enumerate() {
        let mean = V::splat(mean[channel]);
        let (mut sum, mut product) = (V::load(&sums[0]), V::load(&sums[1]));
        row.for_each::<V>(channel, |_, g, z| {
            sum = sum.add(g);
            product = g.mul_add(z.sub(mean), product);
        });
        sum.store(&mut sums[0]);
        product.store(&mut sums[1]);
    }
}
