//! Packing: rows of activations, normalised and rectified on the way, into the buffer that taps point into.

use crate::kernel::entry;
use crate::kernel::vector::{LaneMask, Vector};
use crate::lane::Lane;

/// What becomes of the values of a channel: `value · scale + shift`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Coefficients {
    pub(crate) scale: f32,
    pub(crate) shift: f32,
}

/// A row `[channels][width]` of a signal: a stored value and what applies to it when it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignalRow<'a> {
    pub(crate) lanes: &'a [Lane],
    /// Pixels per channel.
    pub(crate) width: usize,
    /// The coefficients of each channel.
    pub(crate) affine: Option<&'a [Coefficients]>,
    pub(crate) relu: bool,
}

impl SignalRow<'_> {
    /// The function of one channel.
    #[inline(always)]
    pub(super) fn channel<V: Vector>(&self, channel: usize) -> Reader<V> {
        let affine = self.affine.map(|coefficients| {
            let Coefficients { scale, shift } = coefficients[channel];
            (V::splat(scale), V::splat(shift))
        });
        Reader { affine, relu: self.relu }
    }
}

/// What applies to the values of one channel.
#[derive(Clone, Copy)]
pub(super) struct Reader<V> {
    affine: Option<(V, V)>,
    relu: bool,
}

impl<V: Vector> Reader<V> {
    #[inline(always)]
    pub(super) fn read(&self, lane: &Lane) -> V {
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
