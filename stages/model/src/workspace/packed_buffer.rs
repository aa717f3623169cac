//! Packed buffers that keep their zeros.

use crate::description::InputShape;
use crate::geometry::Packed;
use crate::lane::Lane;
use crate::workspace::clear;

/// Packed pixels with zeros around them, a buffer for each layout. Packing writes pixels only, so that
/// nothing is ever cleared again; a network has a layout for each shape of its values, which is little beside
/// the values themselves.
#[derive(Debug, Default)]
pub(crate) struct PackedBuffer(Vec<((Packed, InputShape), Vec<Lane>)>);

impl PackedBuffer {
    /// The buffer for pixels of `shape` in the layout `packed`: zeros around them, anything in their places.
    pub(crate) fn prepare(&mut self, packed: Packed, shape: InputShape) -> &mut [Lane] {
        let layout = (packed, shape);
        let known = self.0.iter().position(|(other, _)| *other == layout);
        let place = known.unwrap_or_else(|| {
            let mut lanes = vec![];
            clear(&mut lanes, packed.len());
            self.0.push((layout, lanes));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }
}
