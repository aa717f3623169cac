//! What becomes of the sums of a tile when they are complete, while they are in registers: statistics of
//! outputs forward; backward gradients settle.
//!
//! A gradient settles when the last reader of a signal has added its part: it passes the ReLU, and the sums
//! that a batch norm needs are taken. With these sums known, the gradient of the batch norm's input is affine
//! in the settled gradient and in that input; see [`Channel`]. It is computed while it is packed. The sums
//! are those of the gradient as it is computed, before it is rounded to what is stored.

use crate::kernel::Stored;
use crate::kernel::elementwise::Channel;
use crate::kernel::vector::Vector;

/// What happens to the sums of a tile beside being written.
#[derive(Debug)]
pub(crate) enum Finish<'a, 'b, N> {
    /// Nothing.
    Write,
    /// Their sums and those of their squares are added to two lanes per channel.
    Measure(&'a mut [f32]),
    /// They are complete gradients of a signal, and settle behind these layers.
    Settle(&'a mut [Settling<'b, N>]),
}

/// A layer behind which a gradient settles.
#[derive(Debug)]
pub(crate) struct Settling<'a, N> {
    /// The layer's output z, laid out as the gradient.
    pub(crate) output: &'a [N],
    /// What follows the layer.
    pub(crate) channels: &'a [Channel],
    pub(crate) sign: Sign<'a, N>,
    /// Nothing, or two lanes per channel, to which the sums of the settled gradient g and of `g · (z − mean)`
    /// are added.
    pub(crate) sums: &'a mut [f32],
}

/// Where the gradient passes a ReLU.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign<'a, N> {
    /// There is no ReLU, or the gradient has passed it.
    Always,
    /// Where the layer's own output, normalised, is above 0.
    Own,
    /// Where these numbers, laid out as the gradient, are above 0.
    Of(&'a [N]),
}

/// Where a tile lies among the numbers of a target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    /// The first pixel of the channel.
    pub(super) first: usize,
    /// Numbers from one row of pixels to the next, and from one pixel to the next.
    pub(super) steps: [usize; 2],
    pub(super) channel: usize,
}

impl<N: Stored> Finish<'_, '_, N> {
    /// Panics unless there is what belongs to a target of `rows` channels and so many numbers.
    #[inline(always)]
    pub(super) fn check<V: Vector>(&self, rows: usize, target: usize) {
        let are_sums = |sums: &[f32]| sums.len() >= 2 * rows * V::LANES;
        match self {
            Self::Write => {}
            Self::Measure(sums) => assert!(are_sums(sums), "two sums per channel"),
            Self::Settle(settlings) => {
                for Settling { output, channels, sign, sums } in settlings.iter() {
                    let numbers = if let Sign::Of(signs) = sign { signs.len() } else { target };
                    let are_alike = output.len().min(numbers) >= target && channels.len() >= rows;
                    assert!(
                        are_alike && (sums.is_empty() || are_sums(sums)),
                        "outputs are laid out as their gradients"
                    );
                }
            }
        }
    }

    /// Does it to a tile, which is written afterwards.
    ///
    /// # Safety
    /// It has been [checked](Self::check), and the tile lies inside the target.
    #[inline(always)]
    pub(super) unsafe fn apply<V: Vector, const R: usize, const P: usize>(
        &mut self,
        tile: &mut [[V; P]; R],
        site: Site,
    ) {
        match self {
            Self::Write => {}
            Self::Measure(sums) => add_moments(tile, &mut sums[2 * site.channel * V::LANES..]),
            Self::Settle(settlings) => {
                for settling in settlings.iter_mut() {
                    // SAFETY: by this function's contract.
                    unsafe { settling.settle(tile, site) };
                }
            }
        }
    }
}

impl<N: Stored> Settling<'_, N> {
    /// Settles a tile of the gradient.
    ///
    /// # Safety
    /// The tile lies inside the output, and inside the signs if there are some; there is such a channel.
    #[inline(always)]
    unsafe fn settle<V: Vector, const R: usize, const P: usize>(
        &mut self,
        tile: &mut [[V; P]; R],
        Site { first, steps, channel }: Site,
    ) {
        // SAFETY: by this function's contract.
        let Channel { scale, shift, mean, .. } = unsafe { *self.channels.get_unchecked(channel) };
        let [scale, shift, minus_mean] = [V::splat(scale), V::splat(shift), V::splat(-mean)];
        let mut sums = Moments::zero();
        for (r, row) in tile.iter_mut().enumerate() {
            for (p, gradient) in row.iter_mut().enumerate() {
                let place = first + r * steps[0] + p * steps[1];
                // SAFETY: by this function's contract.
                let output: V = unsafe { N::load(self.output.as_ptr().add(place)) };
                *gradient = match self.sign {
                    Sign::Always => *gradient,
                    Sign::Own => gradient.where_positive(output.mul_add(scale, shift)),
                    // SAFETY: by this function's contract.
                    Sign::Of(signs) => gradient.where_positive(unsafe { N::load(signs.as_ptr().add(place)) }),
                };
                sums.add(p, *gradient, output.add(minus_mean));
            }
        }
        if !self.sums.is_empty() {
            sums.add_to(&mut self.sums[2 * channel * V::LANES..]);
        }
    }
}

/// Adds the sum of a tile's values and that of their squares to the first two lanes of `sums`.
#[inline(always)]
fn add_moments<V: Vector, const R: usize, const P: usize>(tile: &[[V; P]; R], sums: &mut [f32]) {
    let mut moments = Moments::zero();
    for row in tile {
        for (p, value) in row.iter().enumerate() {
            moments.add(p, *value, *value);
        }
    }
    moments.add_to(sums);
}

/// Sums of numbers and of products, in two chains, so that one addition need not wait for the other.
struct Moments<V> {
    sums: [V; 2],
    products: [V; 2],
}

impl<V: Vector> Moments<V> {
    #[inline(always)]
    fn zero() -> Self {
        Self { sums: [V::zero(); 2], products: [V::zero(); 2] }
    }

    #[inline(always)]
    fn add(&mut self, pixel: usize, number: V, factor: V) {
        self.sums[pixel % 2] = self.sums[pixel % 2].add(number);
        self.products[pixel % 2] = number.mul_add(factor, self.products[pixel % 2]);
    }

    /// Adds both to the first two lanes of `sums`.
    #[inline(always)]
    fn add_to(&self, sums: &mut [f32]) {
        let (sums, products) = sums.split_at_mut(V::LANES);
        self.sums[0].add(self.sums[1]).add(V::read(sums)).write(sums);
        self.products[0].add(self.products[1]).add(V::read(products)).write(products);
    }
}
