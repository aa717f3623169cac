//! Images that are turned, or whose colours change: what [`Placement`] says beyond windows and mirrors.

use spfde_data::augment::Placement;

/// Memory that is used for one image after the other.
#[derive(Default)]
pub(super) struct Scratch {
    /// The pixels as they are, or with other colours.
    source: Vec<f32>,
    /// The pixels in their places.
    pub(super) planes: Vec<f32>,
}

/// Whether an image needs more than to be moved and mirrored.
pub(super) fn is_needed(placement: &Placement) -> bool {
    placement.turn != 0 || placement.hole.is_some() || placement.jitter != [0; 3]
}

impl Scratch {
    /// Puts the pixels of an image, channel by channel, where the placement says, as bytes with fractions;
    /// what comes from outside of the image is 0. Between pixels it is bilinear. The hole is left to others.
    pub(super) fn place(&mut self, image: &[u8], [height, width]: [usize; 2], placement: &Placement) {
        self.source.clear();
        self.source.extend(image.iter().map(|byte| f32::from(*byte)));
        let plane = height * width;
        if placement.jitter != [0; 3] && image.len() == 3 * plane {
            change_colours(&mut self.source, placement.jitter);
        }
        let [sine, cosine] = turn(placement.turn);
        let middle = [height, width].map(|side| (side as f32 - 1.0) / 2.0);
        self.planes.clear();
        self.planes.resize(image.len(), 0.0);
        for row in 0..height {
            for column in 0..width {
                let mirrored = if placement.flip { width - 1 - column } else { column };
                let (y, x) = (row as f32 - middle[0], mirrored as f32 - middle[1]);
                let from_row = cosine * y - sine * x + middle[0] + placement.down as f32;
                let from_column = cosine * x + sine * y + middle[1] + placement.right as f32;
                let (above, before) = (from_row.floor(), from_column.floor());
                let (down, across) = (from_row - above, from_column - before);
                for (dy, share_y) in [(0, 1.0 - down), (1, down)] {
                    for (dx, share_x) in [(0, 1.0 - across), (1, across)] {
                        let (y, x) = (above as isize + dy, before as isize + dx);
                        let is_inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
                        if !is_inside || share_y * share_x == 0.0 {
                            continue;
                        }
                        let from = y as usize * width + x as usize;
                        let target = row * width + column;
                        for (source, planes) in
                            self.source.chunks_exact(plane).zip(self.planes.chunks_exact_mut(plane))
                        {
                            planes[target] += share_y * share_x * source[from];
                        }
                    }
                }
            }
        }
    }
}

/// Sine and cosine of so many thousandths of a degree, at most a few degrees. By their series, so that no two
/// machines have different ones.
fn turn(thousandths: i32) -> [f32; 2] {
    let x = f64::from(thousandths) / 1000.0 * std::f64::consts::PI / 180.0;
    let square = x * x;
    let sine = x * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0)));
    let cosine = 1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0 * (1.0 - square / 56.0)));
    [sine as f32, cosine as f32]
}

/// Changes brightness, then contrast, around the image's mean grey, then saturation, around the grey of each
/// pixel. Greys weigh red, green and blue as BT.601 does.
fn change_colours(pixels: &mut [f32], jitter: [i32; 3]) {
    let [brightness, contrast, saturation] = jitter.map(|thousandths| 1.0 + thousandths as f32 / 1000.0);
    let (red, rest) = pixels.split_at_mut(pixels.len() / 3);
    let (green, blue) = rest.split_at_mut(rest.len() / 2);
    let grey = |[red, green, blue]: [f32; 3]| 0.299 * red + 0.587 * green + 0.114 * blue;
    let greys = red.iter().zip(&*green).zip(&*blue);
    let sum: f64 = greys.map(|((red, green), blue)| f64::from(grey([*red, *green, *blue]))).sum();
    let mean = brightness * (sum / red.len().max(1) as f64) as f32;
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        let lit = [*red, *green, *blue]
            .map(|value| (mean + contrast * (brightness * value - mean)).clamp(0.0, 255.0));
        let grey = grey(lit);
        [*red, *green, *blue] = lit.map(|value| (grey + saturation * (value - grey)).clamp(0.0, 255.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(image: &[u8], shape: [usize; 2], placement: Placement) -> Vec<f32> {
        let mut scratch = Scratch::default();
        scratch.place(image, shape, &placement);
        scratch.planes
    }

    #[test]
    fn what_is_only_moved_keeps_its_bytes() {
        let image: Vec<u8> = (0..12).map(|value| value * 20).collect();
        let all = placed(&image, [3, 4], Placement::default());
        assert_eq!(all, image.iter().map(|byte| f32::from(*byte)).collect::<Vec<_>>());
        let moved =
            placed(&image, [3, 4], Placement { down: 1, right: -1, flip: true, ..Placement::default() });
        assert_eq!(moved[..8], [120.0, 100.0, 80.0, 0.0, 200.0, 180.0, 160.0, 0.0]);
        assert_eq!(moved[8..], [0.0; 4]);
    }

    /// A point of light far from the middle goes where the rotation takes it, and keeps its light.
    #[test]
    fn images_are_turned_clockwise_about_their_middle() {
        let side = 41;
        let mut image = vec![0; side * side];
        let (row, column) = (20, 35);
        image[row * side + column] = 200;
        for thousandths in [-10_000, -3_333, 1, 4_500, 10_000] {
            for flip in [false, true] {
                let placement = Placement { turn: thousandths, flip, ..Placement::default() };
                let planes = placed(&image, [side, side], placement);
                let sum: f64 = planes.iter().map(|value| f64::from(*value)).sum();
                let mean = |of: &dyn Fn(usize) -> usize| {
                    planes
                        .iter()
                        .enumerate()
                        .map(|(at, value)| of(at) as f64 * f64::from(*value))
                        .sum::<f64>()
                        / sum
                };
                let found = [mean(&|at| at / side), mean(&|at| at % side)];
                let angle = (f64::from(thousandths) / 1000.0).to_radians();
                // Clockwise, where rows count downwards: from right to below.
                let (down, right) = (15.0 * angle.sin(), 15.0 * angle.cos());
                let expected = [20.0 + down, 20.0 + if flip { -right } else { right }];
                for (found, expected) in found.into_iter().zip(expected) {
                    assert!((found - expected).abs() < 0.2, "{thousandths}: {found} {expected}");
                }
                assert!((sum - 200.0).abs() < 50.0, "{thousandths}: {sum}");
            }
        }
    }

    #[test]
    fn sines_are_those_of_the_library() {
        for thousandths in (-10_000..=10_000).step_by(37) {
            let [sine, cosine] = turn(thousandths);
            let angle = (f64::from(thousandths) / 1000.0).to_radians();
            let error = (f64::from(sine) - angle.sin()).abs().max((f64::from(cosine) - angle.cos()).abs());
            assert!(error < 1e-7, "{thousandths}: {error}");
        }
    }

    #[test]
    fn colours_change_as_they_are_asked_to() {
        // Two pixels: red, green, blue of each.
        let image = [100, 20, 50, 40, 0, 90];
        let change = |jitter| placed(&image, [1, 2], Placement { jitter, ..Placement::default() });
        let near = |found: &[f32], expected: [f64; 6]| {
            let is_near = |(found, expected): (&f32, f64)| (f64::from(*found) - expected).abs() < 1e-3;
            assert!(found.iter().zip(expected).all(is_near), "{found:?} {expected:?}");
        };
        near(&change([200, 0, 0]), [120.0, 24.0, 60.0, 48.0, 0.0, 108.0]);
        // Greys of the pixels: 59.25 and 39.72, their mean 49.485.
        let contrast = |value: f64| 49.485 + 0.8 * (value - 49.485);
        near(&change([0, -200, 0]), [100.0, 20.0, 50.0, 40.0, 0.0, 90.0].map(contrast));
        let saturated = |value: f64, grey: f64| (grey + 1.1 * (value - grey)).clamp(0.0, 255.0);
        near(
            &change([0, 0, 100]),
            [
                saturated(100.0, 59.25),
                saturated(20.0, 39.72),
                saturated(50.0, 59.25),
                saturated(40.0, 39.72),
                saturated(0.0, 59.25),
                saturated(90.0, 39.72),
            ],
        );
        // Nothing leaves the range of bytes; images that are not RGB keep their values.
        assert!(
            placed(&[255; 6], [1, 2], Placement { jitter: [200; 3], ..Placement::default() })
                .iter()
                .all(|v| *v == 255.0)
        );
        let grey = placed(&[9, 8], [1, 2], Placement { jitter: [200; 3], ..Placement::default() });
        assert_eq!(grey, [9.0, 8.0]);
    }
}
