//! From stored bytes to activations: normalise and place the samples of a batch.

use spfde_data::augment::Placement;
use spfde_data::images::{Images, Normalization};

use crate::kernel::Kernel;
use crate::lane::Activations;

/// Builds the activations of `samples` (rows of `images`) for `kernel`, each placed as `place` says.
///
/// `into` gets the shape that [`Activations`] names; its memory is reused where it is large
/// enough. Pixels outside the image are byte 0, normalised. Lanes behind the last sample are 0.
///
/// # Panics
/// If a sample is not in `images` or `normalization` has too few channels.
pub fn gather(
    kernel: Kernel,
    images: &Images,
    normalization: &Normalization,
    samples: &[u32],
    place: impl Fn(u32) -> Placement,
    into: &mut Activations,
) {
    let (channels, height, width) = (images.channels, images.height, images.width);
    let lanes = kernel.lanes();
    reshape(into, [kernel.groups(samples.len()), height, channels, width, lanes]);
    let numbers = into.as_slice_mut().expect("activations are created in standard layout");
    // Where each column comes from.
    let mut columns: Vec<Option<usize>> = Vec::with_capacity(width);
    for (position, sample) in samples.iter().enumerate() {
        let (group, lane) = (position / lanes, position % lanes);
        let image = images.image(*sample as usize);
        let placement = place(*sample);
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
    use super::*;

    fn images() -> Images {
        let pixels = (0..2 * 2 * 6).map(|value| value as u8 * 10).collect();
        Images { channels: 2, height: 2, width: 3, pixels, labels: vec![0, 1] }
    }

    #[test]
    fn pixels_land_where_the_placement_says() {
        let normalization = Normalization { scale: vec![2.0, 1.0], shift: vec![1.0, -3.0] };
        let mut activations = Activations::default((0, 0, 0, 0, 0));
        let placements = [Placement::default(), Placement { down: 1, right: -1, flip: true }];
        gather(
            Kernel::PORTABLE,
            &images(),
            &normalization,
            &[0, 1],
            |sample| placements[sample as usize],
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
