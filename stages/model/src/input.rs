//! From stored bytes to activations: normalise and place the samples of a batch.

mod vary;

use spfde_data::augment::Placement;
use spfde_data::images::{Images, Normalization, Pixels};

use crate::kernel::Kernel;
use crate::lane::Activations;

/// Builds the activations of `samples` (rows of `images`) for `kernel`, each placed as `place` says of its
/// position among them.
///
/// `into` gets the shape that [`Activations`] names; its memory is reused where it is large
/// enough. Pixels outside the image are byte 0, normalised, those of a hole 0. Lanes behind the last sample
/// are 0. Rows of a table are not placed, only normalised.
///
/// # Panics
/// If a sample is not in `images` or its pixels are not in memory, or `normalization` has too few channels or
/// columns.
pub fn gather(
    kernel: Kernel,
    images: &Images,
    normalization: &Normalization,
    samples: &[u32],
    place: impl Fn(usize) -> Placement,
    into: &mut Activations,
) {
    let (channels, height, width) = (images.channels, images.height, images.width);
    let lanes = kernel.lanes();
    reshape(into, [kernel.groups(samples.len()), height, channels, width, lanes]);
    let numbers = into.as_slice_mut().expect("activations are created in standard layout");
    if let Pixels::F32(values) = &images.pixels {
        for (position, sample) in samples.iter().enumerate() {
            let row = &values[*sample as usize * images.stride()..][..images.stride()];
            let first = position / lanes * row.len() * lanes + position % lanes;
            let scales = normalization.scale.iter().zip(&normalization.shift);
            for ((value, (scale, shift)), target) in row.iter().zip(scales).zip((first..).step_by(lanes)) {
                numbers[target] = value * scale + shift;
            }
        }
        return;
    }
    // Where each column comes from.
    let mut columns: Vec<Option<usize>> = Vec::with_capacity(width);
    let mut scratch = vary::Scratch::default();
    for (position, sample) in samples.iter().enumerate() {
        let (group, lane) = (position / lanes, position % lanes);
        let image = images.image(*sample as usize);
        let placement = place(position);
        if vary::is_needed(&placement) {
            scratch.place(image, [height, width], &placement);
            for (place, value) in scratch.planes.iter().enumerate() {
                let (channel, row, column) =
                    (place / (height * width), place / width % height, place % width);
                let (scale, shift) = (normalization.scale[channel], normalization.shift[channel]);
                let is_cut = placement.hole.is_some_and(|hole| hole.covers(row, column));
                let target = (((group * height + row) * channels + channel) * width + column) * lanes + lane;
                // The mean, once it is normalised.
                numbers[target] = if is_cut { 0.0 } else { value * scale + shift };
            }
            continue;
        }
        columns.clear();
        columns.extend((0..width).map(|column| {
            let column = if placement.flip { width - 1 - column } else { column };
            inside(column, placement.right, width)
        }));
        for channel in 0..channels {
            let (scale, shift) = (normalization.scale[channel], normalization.shift[channel]);
            let plane = &image[channel * height * width..][..height * width];
            for row in 0..height {
                let first = ((group * height + row) * channels + channel) * width;
                let target = numbers[first * lanes..][..width * lanes].chunks_exact_mut(lanes);
                let source = inside(row, placement.down, height).map(|row| &plane[row * width..][..width]);
                for (column, target) in columns.iter().zip(target) {
                    let byte = match (source, column) {
                        (Some(source), Some(column)) => source[*column],
                        _ => 0,
                    };
                    target[lane] = f32::from(byte) * scale + shift;
                }
            }
        }
    }
}

/// Gives `into` a shape and fills it with zeros, keeping its memory if there is enough.
fn reshape(into: &mut Activations, shape: [usize; 5]) {
    let mut numbers = std::mem::take(into).into_raw_vec_and_offset().0;
    numbers.clear();
    numbers.resize(shape.iter().product(), 0.0);
    *into = Activations::from_shape_vec(shape, numbers).expect("as many numbers as the shape holds");
}

/// `position` moved by `by`, if that is below `extent`.
fn inside(position: usize, by: i32, extent: usize) -> Option<usize> {
    position.checked_add_signed(by as isize).filter(|position| *position < extent)
}

#[cfg(test)]
mod tests {
    use spfde_data::augment::Hole;

    use super::*;

    fn images() -> Images {
        let pixels = (0..2 * 2 * 6).map(|value| value as u8 * 10).collect();
        Images { channels: 2, height: 2, width: 3, pixels, labels: vec![0, 1] }
    }

    #[test]
    fn rows_of_a_table_are_normalised_column_by_column() {
        let pixels = (0..30).map(|value| value as f32).collect::<Vec<_>>().into();
        let table = Images { channels: 1, height: 1, width: 3, pixels, labels: vec![0; 10] };
        let normalization = Normalization { scale: vec![1.0, 2.0, 0.5], shift: vec![0.0, 1.0, -1.0] };
        let mut activations = Activations::default((0, 0, 0, 0, 0));
        let samples: Vec<u32> = (0..10).rev().collect();
        let moved = |_| Placement { down: 1, right: 1, flip: true, turn: 5, ..Placement::default() };
        gather(Kernel::PORTABLE, &table, &normalization, &samples, moved, &mut activations);
        assert_eq!(activations.shape(), [2, 1, 1, 3, 8]);
        for (position, sample) in samples.iter().enumerate() {
            let first = 3.0 * *sample as f32;
            let expected = [first, 2.0 * (first + 1.0) + 1.0, 0.5 * (first + 2.0) - 1.0];
            for (column, expected) in expected.into_iter().enumerate() {
                assert_eq!(activations[[position / 8, 0, 0, column, position % 8]], expected);
            }
        }
        assert_eq!(activations[[1, 0, 0, 0, 2]], 0.0);
    }

    #[test]
    fn pixels_land_where_the_placement_says() {
        let normalization = Normalization { scale: vec![2.0, 1.0], shift: vec![1.0, -3.0] };
        let mut activations = Activations::default((0, 0, 0, 0, 0));
        let placements =
            [Placement::default(), Placement { down: 1, right: -1, flip: true, ..Placement::default() }];
        gather(
            Kernel::PORTABLE,
            &images(),
            &normalization,
            &[0, 1],
            |position| placements[position],
            &mut activations,
        );
        assert_eq!(activations.shape(), [1, 2, 2, 3, 8]);
        let row = |row: usize, channel: usize, lane: usize| -> Vec<f32> {
            (0..3).map(|column| activations[[0, row, channel, column, lane]]).collect()
        };
        assert_eq!(row(0, 0, 0), [1.0, 21.0, 41.0]);
        assert_eq!(row(1, 1, 0), [87.0, 97.0, 107.0]);
        // Sample 1, channel 0 has the rows 120 130 140 and 150 160 170: row 1 comes first, its columns are
        // moved right by one behind a padding pixel and mirrored.
        assert_eq!(row(0, 0, 1), [321.0, 301.0, 1.0]);
        assert_eq!(row(1, 0, 1), [1.0, 1.0, 1.0]);
        assert_eq!(row(1, 1, 1), [-3.0, -3.0, -3.0]);
        for lane in 2..8 {
            assert_eq!(row(0, 1, lane), [0.0; 3]);
        }
    }

    #[test]
    fn holes_have_the_mean_and_nothing_else_changes() {
        let normalization = Normalization { scale: vec![2.0, 1.0], shift: vec![1.0, -3.0] };
        let gathered = |place: Placement| {
            let mut activations = Activations::default((0, 0, 0, 0, 0));
            gather(Kernel::PORTABLE, &images(), &normalization, &[1], |_| place, &mut activations);
            activations
        };
        for flip in [false, true] {
            let moved = Placement { down: 0, right: 1, flip, ..Placement::default() };
            let hole = Hole { row: 1, column: 2, side: 2 };
            let (whole, cut) = (gathered(moved), gathered(Placement { hole: Some(hole), ..moved }));
            for ((group, row, channel, column, lane), number) in cut.indexed_iter() {
                let expected =
                    if hole.covers(row, column) { 0.0 } else { whole[[group, row, channel, column, lane]] };
                assert_eq!(*number, expected);
            }
        }
    }

    #[test]
    fn memory_is_reused_and_nothing_old_remains() {
        let normalization = Normalization { scale: vec![1.0; 2], shift: vec![0.0; 2] };
        let mut activations = Activations::from_elem((4, 2, 2, 3, 8), 7.0);
        let before = activations.as_ptr();
        gather(Kernel::PORTABLE, &images(), &normalization, &[1], |_| Placement::default(), &mut activations);
        assert_eq!(activations.shape(), [1, 2, 2, 3, 8]);
        assert_eq!(activations.as_ptr(), before);
        assert!(activations.indexed_iter().all(|((.., lane), number)| lane == 0 || *number == 0.0));
    }
}
