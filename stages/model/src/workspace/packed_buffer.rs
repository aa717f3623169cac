//! A packed buffer that keeps its zeros.

use crate::description::Shape;
use crate::geometry::Packed;
use crate::lane::Lane;
use crate::workspace::clear;

/// Packed pixels with zeros around them. Packing writes pixels only, so that from one operation to the next of the same
/// layout there is nothing to clear.
#[derive(Debug, Default)]
pub(crate) struct PackedBuffer {
    lanes: Vec<Lane>,
    layout: Option<(Packed, Shape)>,
}

impl PackedBuffer {
    /// The buffer for pixels of `shape` in the layout `packed`: zeros around them, anything in their places.
    pub(crate) fn prepare(&mut self, packed: Packed, shape: Shape) -> &mut [Lane] {
        if self.layout != Some((packed, shape)) {
            clear(&mut self.lanes, packed.len());
            self.layout = Some((packed, shape));
        }
        &mut self.lanes
    }
}
