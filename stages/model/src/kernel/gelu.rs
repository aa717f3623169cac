//! GELU and its gradient. The normal distribution is that of Abramowitz and Stegun, 7.1.26, whose error is
//! below 1.5e-7; all vectors compute it in the same order, so that they differ by nothing.

use crate::kernel::elementwise::SignalRow;
use crate::kernel::exponential::exponential;
use crate::kernel::vector::{MOST_LANES, Vector};
use crate::kernel::{Stored, entry};

entry! {
    /// Writes `x · Φ(x)` for each number of the row; Φ is the normal distribution's share below x.
    ///
    /// # Panics
    /// If the rows differ in length.
    fn gelu<S>(source: &SignalRow<'_, S>, target: &mut [S]) = body
}

#[inline(always)]
fn body<V: Vector, S: Stored>(source: &SignalRow<'_, S>, target: &mut [S]) {
    assert_eq!(source.lanes.len(), target.len(), "rows of one length");
    let width = source.width * V::LANES;
    let channels = source.lanes.chunks_exact(width).zip(target.chunks_exact_mut(width));
    for (channel, (lanes, target)) in channels.enumerate() {
        let reader = source.channel::<V>(channel);
        for (lane, target) in lanes.chunks_exact(V::LANES).zip(target.chunks_exact_mut(V::LANES)) {
            let mut numbers = [0.0_f32; MOST_LANES];
            reader.read(lane).write(&mut numbers);
            for number in &mut numbers[..V::LANES] {
                *number *= normal(*number).0;
            }
            V::read(&numbers).write(target);
        }
    }
}

entry! {
    /// Writes the gradient of the row from the `gradient` behind it; adds it to what is there if this has
    /// `begun`.
    ///
    /// # Panics
    /// If the rows differ in length.
    fn gelu_gradient<S>(
        source: &SignalRow<'_, S>,
        gradient: &[S],
        begun: bool,
        target: &mut [S],
    ) = gradient_body
}

#[inline(always)]
fn gradient_body<V: Vector, S: Stored>(
    source: &SignalRow<'_, S>,
    gradient: &[S],
    begun: bool,
    target: &mut [S],
) {
    let len = source.lanes.len();
    assert!(gradient.len() == len && target.len() == len, "rows of one length");
    let width = source.width * V::LANES;
    let channels = source.lanes.chunks_exact(width).zip(gradient.chunks_exact(width));
    for (channel, ((lanes, gradients), target)) in channels.zip(target.chunks_exact_mut(width)).enumerate() {
        let reader = source.channel::<V>(channel);
        let lanes = lanes.chunks_exact(V::LANES).zip(gradients.chunks_exact(V::LANES));
        for ((lane, gradient), target) in lanes.zip(target.chunks_exact_mut(V::LANES)) {
            let mut numbers = [0.0_f32; MOST_LANES];
            reader.read(lane).write(&mut numbers);
            for number in &mut numbers[..V::LANES] {
                let (share, density) = normal(*number);
                *number = share + *number * density;
            }
            let before = if begun { V::read(target) } else { V::zero() };
            V::read(gradient).mul_add(V::read(&numbers), before).write(target);
        }
    }
}

/// The share of a normal distribution below a number, and its density there. No branches, so that the
/// compiler takes many numbers at a time.
#[inline(always)]
fn normal(number: f32) -> (f32, f32) {
    const TERMS: [f32; 5] = [0.254_829_6, -0.284_496_74, 1.421_413_7, -1.453_152, 1.061_405_4];
    const DENSITY: f32 = 0.398_942_3;
    let power = exponential(-0.5 * number * number);
    let term = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * number.abs());
    let [a, b, c, d, e] = TERMS;
    let above = 0.5 * power * term * (a + term * (b + term * (c + term * (d + term * e))));
    (if number > 0.0 { 1.0 - above } else { above }, DENSITY * power)
}
