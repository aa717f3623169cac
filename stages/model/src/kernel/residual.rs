//! Residual addition: ReLU of a sum.

use crate::kernel::elementwise::SignalRow;
use crate::kernel::entry;
use crate::kernel::vector::Vector;
use crate::lane::Lane;

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
