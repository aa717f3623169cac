//! Packing: rows of activations, normalised and rectified on the way, into the buffer that taps point into.
//! Residual addition: ReLU of a sum of such rows.

use std::slice::ChunksExactMut;

use crate::kernel::vector::{LaneMask, Vector};
use crate::kernel::{Stored, entry};

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
pub(crate) struct SignalRow<'a, S> {
    pub(crate) lanes: &'a [S],
    /// Pixels per channel.
    pub(crate) width: usize,
    /// What follows the layer whose output it is.
    pub(crate) affine: Option<&'a [Channel]>,
    pub(crate) relu: bool,
}

impl<S: Stored> SignalRow<'_, S> {
    /// What applies to the values of one channel.
    #[inline(always)]
    pub(super) fn channel<V: Vector>(&self, channel: usize) -> Reader<V> {
        let affine = self.affine.map(|channels| {
            let Channel { scale, shift, .. } = channels[channel];
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
    pub(super) fn read<S: Stored>(&self, lane: &[S]) -> V {
        let value = V::read(lane);
        // Not by a closure: those cannot be told to be inlined where the instructions are.
        let value = match self.affine {
            Some((scale, shift)) => value.mul_add(scale, shift),
            None => value,
        };
        if self.relu { value.relu() } else { value }
    }
}

/// Where a row goes: pixel `x` of channel `c` to lane `start + c · channel_step + x · pixel_step`.
#[derive(Debug)]
pub(crate) struct PackedRow<'a> {
    pub(crate) lanes: &'a mut [f32],
    pub(crate) start: usize,
    pub(crate) channel_step: usize,
    pub(crate) pixel_step: usize,
}

impl PackedRow<'_> {
    /// The lanes of one channel, of which every `pixel_step`-th is a pixel.
    #[inline(always)]
    pub(super) fn channel<V: Vector>(&mut self, channel: usize, width: usize) -> ChunksExactMut<'_, f32> {
        let (start, len) = (self.start + channel * self.channel_step, (width - 1) * self.pixel_step + 1);
        self.lanes[start * V::LANES..][..len * V::LANES].chunks_exact_mut(V::LANES)
    }
}

entry! {
    /// Writes the row's values where `mask` says that there is a sample, elsewhere 0.
    ///
    /// # Panics
    /// If the row does not fit its target.
    fn pack<S>(source: &SignalRow<'_, S>, mask: LaneMask, target: PackedRow<'_>) = body
}

#[inline(always)]
fn body<V: Vector, S: Stored>(source: &SignalRow<'_, S>, mask: LaneMask, mut target: PackedRow<'_>) {
    let step = target.pixel_step;
    for (channel, lanes) in source.lanes.chunks_exact(source.width * V::LANES).enumerate() {
        let reader = source.channel::<V>(channel);
        let target = target.channel::<V>(channel, source.width);
        let lanes = lanes.chunks_exact(V::LANES);
        // Two loops, because a step that is not known costs time.
        if step == 1 {
            for (target, lane) in target.zip(lanes) {
                reader.read(lane).keep(&mask).write(target);
            }
        } else {
            for (target, lane) in target.step_by(step).zip(lanes) {
                reader.read(lane).keep(&mask).write(target);
            }
        }
    }
}

entry! {
    /// Writes the row's values.
    ///
    /// # Panics
    /// If the rows differ in length.
    fn copy<S>(source: &SignalRow<'_, S>, target: &mut [S]) = copy_body
}

#[inline(always)]
fn copy_body<V: Vector, S: Stored>(source: &SignalRow<'_, S>, target: &mut [S]) {
    assert_eq!(source.lanes.len(), target.len(), "rows of one length");
    let width = source.width * V::LANES;
    let channels = source.lanes.chunks_exact(width).zip(target.chunks_exact_mut(width));
    for (channel, (lanes, target)) in channels.enumerate() {
        let reader = source.channel::<V>(channel);
        for (lane, target) in lanes.chunks_exact(V::LANES).zip(target.chunks_exact_mut(V::LANES)) {
            reader.read(lane).write(target);
        }
    }
}

entry! {
    /// Writes ReLU of the sum of two rows.
    ///
    /// # Panics
    /// If the rows differ in length.
    fn add<S>(main: &SignalRow<'_, S>, shortcut: &SignalRow<'_, S>, target: &mut [S]) = add_body
}

#[inline(always)]
fn add_body<V: Vector, S: Stored>(main: &SignalRow<'_, S>, shortcut: &SignalRow<'_, S>, target: &mut [S]) {
    add_rows::<V, S, true>(main, shortcut, target);
}

entry! {
    /// Writes the sum of two rows.
    ///
    /// # Panics
    /// If the rows differ in length.
    fn sum<S>(first: &SignalRow<'_, S>, second: &SignalRow<'_, S>, target: &mut [S]) = sum_body
}

#[inline(always)]
fn sum_body<V: Vector, S: Stored>(first: &SignalRow<'_, S>, second: &SignalRow<'_, S>, target: &mut [S]) {
    add_rows::<V, S, false>(first, second, target);
}

#[inline(always)]
fn add_rows<V: Vector, S: Stored, const RELU: bool>(
    main: &SignalRow<'_, S>,
    shortcut: &SignalRow<'_, S>,
    target: &mut [S],
) {
    assert!(main.lanes.len() == target.len() && shortcut.lanes.len() == target.len(), "rows of one length");
    let width = main.width * V::LANES;
    for (channel, target) in target.chunks_exact_mut(width).enumerate() {
        let range = channel * width..(channel + 1) * width;
        let (read_main, read_shortcut) = (main.channel::<V>(channel), shortcut.channel::<V>(channel));
        let [main, shortcut] = [main, shortcut].map(|row| row.lanes[range.clone()].chunks_exact(V::LANES));
        for ((target, main), shortcut) in target.chunks_exact_mut(V::LANES).zip(main).zip(shortcut) {
            let sum = read_main.read(main).add(read_shortcut.read(shortcut));
            let sum = if RELU { sum.relu() } else { sum };
            sum.write(target);
        }
    }
}
