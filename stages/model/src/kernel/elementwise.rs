//! Packing: rows of activations, normalised and rectified on the way, into the buffer that taps point into.
//! Residual addition: ReLU of a sum of such rows.

use crate::kernel::entry;
use crate::kernel::vector::{LaneMask, Vector};
use crate::lane::Lane;

/// What follows a layer in one of its output channels: how its output z is read forward, `scale · z + shift`,
/// and how the gradient of z follows backward from that behind the batch norm or bias, g: `slope · g +
/// output_slope · z + constant`. Its size is a power of two, so that kernels find it by a shift.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
pub(crate) struct Channel {
    pub(crate) scale: f32,
    pub(crate) shift: f32,
    pub(crate) slope: f32,
    pub(crate) output_slope: f32,
    pub(crate) constant: f32,
    /// The shard's mean; 0 for a bias.
    pub(crate) mean: f32,
    /// The shard's unbiased variance.
    pub(crate) variance: f32,
}

/// A row `[channels][width]` of a signal: a stored value and what applies to it when it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignalRow<'a> {
    pub(crate) lanes: &'a [Lane],
    /// Pixels per channel.
    pub(crate) width: usize,
    /// What follows the layer whose output it is.
    pub(crate) affine: Option<&'a [Channel]>,
    pub(crate) relu: bool,
}

impl SignalRow<'_> {
    /// What applies to the values of one channel.
    #[inline(always)]
    fn channel<V: Vector>(&self, channel: usize) -> Reader<V> {
        let affine = self.affine.map(|channels| {
            let Channel { scale, shift, .. } = channels[channel];
            (V::splat(scale), V::splat(shift))
        });
        Reader { affine, relu: self.relu }
    }
}

/// What applies to the values of one channel.
#[derive(Clone, Copy)]
struct Reader<V> {
    affine: Option<(V, V)>,
    relu: bool,
}

impl<V: Vector> Reader<V> {
    #[inline(always)]
    fn read(&self, lane: &Lane) -> V {
        let value = V::load(lane);
        let value = self.affine.map_or(value, |(scale, shift)| value.mul_add(scale, shift));
        if self.relu { value.relu() } else { value }
    }
}

/// Where a row goes: pixel `x` of channel `c` to lane `start + c · channel_step + x · pixel_step`.
#[derive(Debug)]
pub(crate) struct PackedRow<'a> {
    pub(crate) lanes: &'a mut [Lane],
    pub(crate) start: usize,
    pub(crate) channel_step: usize,
    pub(crate) pixel_step: usize,
}

impl PackedRow<'_> {
    /// The lanes of one channel, of which every `pixel_step`-th is a pixel.
    #[inline(always)]
    pub(super) fn channel(&mut self, channel: usize, width: usize) -> &mut [Lane] {
        &mut self.lanes[self.start + channel * self.channel_step..][..(width - 1) * self.pixel_step + 1]
    }
}

entry! {
    /// Writes the row's values where `mask` says that there is a sample, elsewhere 0.
    ///
    /// # Panics
    /// If the row does not fit its target.
    fn pack(source: &SignalRow<'_>, mask: LaneMask, target: PackedRow<'_>) = body
}

#[inline(always)]
fn body<V: Vector>(source: &SignalRow<'_>, mask: LaneMask, mut target: PackedRow<'_>) {
    let step = target.pixel_step;
    for (channel, lanes) in source.lanes.chunks_exact(source.width).enumerate() {
        let reader = source.channel::<V>(channel);
        let target = target.channel(channel, source.width);
        if step == 1 {
            for (target, lane) in target.iter_mut().zip(lanes) {
                reader.read(lane).keep(mask).store(target);
            }
        } else {
            for (target, lane) in target.iter_mut().step_by(step).zip(lanes) {
                reader.read(lane).keep(mask).store(target);
            }
        }
    }
}

entry! {
    /// Writes ReLU of the sum of two rows.
    ///
    /// # Panics
    /// If the rows differ in length.
    fn add(main: &SignalRow<'_>, shortcut: &SignalRow<'_>, target: &mut [Lane]) = add_body
}

#[inline(always)]
fn add_body<V: Vector>(main: &SignalRow<'_>, shortcut: &SignalRow<'_>, target: &mut [Lane]) {
    assert!(main.lanes.len() == target.len() && shortcut.lanes.len() == target.len(), "rows of one length");
    let width = main.width;
    for (channel, target) in target.chunks_exact_mut(width).enumerate() {
        let range = channel * width..(channel + 1) * width;
        let (read_main, read_shortcut) = (main.channel::<V>(channel), shortcut.channel::<V>(channel));
        let (main, shortcut) = (&main.lanes[range.clone()], &shortcut.lanes[range]);
        for ((target, main), shortcut) in target.iter_mut().zip(main).zip(shortcut) {
            read_main.read(main).add(read_shortcut.read(shortcut)).relu().store(target);
        }
    }
}
