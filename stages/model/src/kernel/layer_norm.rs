//! Layer norm: the channels of each pixel of a sample get mean 0 and variance 1.

use crate::kernel::vector::{MOST_LANES, Vector};
use crate::kernel::{Stored, entry};

/// Keeps the variance away from 0.
const EPSILON: f32 = 1e-5;

/// What norms the channels of one pixel, sample by sample.
struct Norm<V> {
    minus_mean: V,
    inverse_deviation: V,
    /// 1 / channels.
    share: V,
}

impl<V: Vector> Norm<V> {
    /// Of the pixel whose first channel begins at `first`; channels lie `step` numbers apart.
    #[inline(always)]
    fn of(signal: &[f32], first: usize, step: usize) -> Self {
        let share = V::splat(1.0 / (signal.len() / step) as f32);
        let (mut sum, mut squares) = (V::zero(), V::zero());
        for place in (first..signal.len()).step_by(step) {
            sum = sum.add(V::read(&signal[place..]));
        }
        let minus_mean = times(times(sum, share), V::splat(-1.0));
        for place in (first..signal.len()).step_by(step) {
            let distance = V::read(&signal[place..]).add(minus_mean);
            squares = distance.mul_add(distance, squares);
        }
        let mut deviations = [0.0_f32; MOST_LANES];
        times(squares, share).write(&mut deviations);
        for deviation in &mut deviations[..V::LANES] {
            *deviation = 1.0 / (*deviation + EPSILON).sqrt();
        }
        Self { minus_mean, inverse_deviation: V::read(&deviations), share }
    }

    #[inline(always)]
    fn apply(&self, number: &[f32]) -> V {
        times(V::read(number).add(self.minus_mean), self.inverse_deviation)
    }
}

#[inline(always)]
fn times<V: Vector>(a: V, b: V) -> V {
    a.mul_add(b, V::zero())
}

entry! {
    /// Norms a row `[channels][width]` of a signal.
    ///
    /// # Panics
    /// If the rows differ in length.
    fn layer_norm<S>(signal: &[f32], width: usize, target: &mut [S]) = body
}

#[inline(always)]
fn body<V: Vector, S: Stored>(signal: &[f32], width: usize, target: &mut [S]) {
    assert_eq!(signal.len(), target.len(), "rows of one length");
    let step = width * V::LANES;
    for first in (0..step).step_by(V::LANES) {
        let norm = Norm::<V>::of(signal, first, step);
        for place in (first..signal.len()).step_by(step) {
            norm.apply(&signal[place..]).write(&mut target[place..]);
        }
    }
}

entry! {
    /// Writes the gradient of such a row from the `gradient` behind its norm; adds it to what is there if
    /// this has `begun`.
    ///
    /// # Panics
    /// If the rows differ in length.
    fn layer_norm_gradient<S>(
        signal: &[f32],
        width: usize,
        gradient: &[S],
        begun: bool,
        target: &mut [S],
    ) = gradient_body
}

#[inline(always)]
fn gradient_body<V: Vector, S: Stored>(
    signal: &[f32],
    width: usize,
    gradient: &[S],
    begun: bool,
    target: &mut [S],
) {
    assert!(gradient.len() == signal.len() && target.len() == signal.len(), "rows of one length");
    let step = width * V::LANES;
    for first in (0..step).step_by(V::LANES) {
        let norm = Norm::<V>::of(signal, first, step);
        let (mut sum, mut product) = (V::zero(), V::zero());
        for place in (first..signal.len()).step_by(step) {
            let gradient = V::read(&gradient[place..]);
            sum = sum.add(gradient);
            product = gradient.mul_add(norm.apply(&signal[place..]), product);
        }
        let minus_share = times(norm.share, V::splat(-1.0));
        let (sum, product) = (times(sum, minus_share), times(product, minus_share));
        for place in (first..signal.len()).step_by(step) {
            let centred = V::read(&gradient[place..]).add(sum);
            let value = norm.apply(&signal[place..]).mul_add(product, centred);
            let before = if begun { V::read(&target[place..]) } else { V::zero() };
            value.mul_add(norm.inverse_deviation, before).write(&mut target[place..]);
        }
    }
}
