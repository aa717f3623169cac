//! Gradients on their way back through a batch norm or bias, while they are packed.

use crate::kernel::elementwise::{Channel, PackedRow, SignalRow};
use crate::kernel::vector::{LaneMask, Vector};
use crate::kernel::{Stored, entry};

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
