//! How alike two networks see some samples: by the products of what a layer puts out for each two of them.

/// The products of each two samples, the upper triangle row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Products {
    samples: usize,
    pub(super) triangle: Vec<f32>,
}

impl Products {
    /// Those of what a layer puts out, sample by sample.
    pub(super) fn of(outputs: &[Vec<f32>]) -> Self {
        let row = |(number, output): (usize, &Vec<f32>)| {
            let others = outputs[number..].iter();
            others.map(|other| dot(output, other) as f32).collect::<Vec<f32>>()
        };
        Self { samples: outputs.len(), triangle: outputs.iter().enumerate().flat_map(row).collect() }
    }

    /// Those that were saved of so many samples.
    pub(super) fn restored(samples: usize, triangle: Vec<f32>) -> Self {
        Self { samples, triangle }
    }

    /// Linear CKA ([Kornblith et al. 2019](https://arxiv.org/abs/1905.00414)): the cosine of the angle
    /// between the centred products of both, from 0 to 1. Two layers that tell no samples apart are alike.
    pub(super) fn cka(&self, other: &Self) -> f64 {
        let (own, other) = (self.centred(), other.centred());
        let product = |one: &[f64], two: &[f64]| one.iter().zip(two).map(|(a, b)| a * b).sum::<f64>();
        let norms = [product(&own, &own), product(&other, &other)].map(f64::sqrt);
        match norms.map(|norm| norm > 0.0) {
            [true, true] => (product(&own, &other) / norms[0] / norms[1]).clamp(0.0, 1.0),
            [false, false] => 1.0,
            _ => 0.0,
        }
    }

    /// Mean squared difference of the products, each row of them scaled to norm 1: the similarity-preserving
    /// loss ([Tung and Mori 2019](https://arxiv.org/abs/1907.09682)) by which Egeria ([arXiv
    /// 2201.06227](https://arxiv.org/abs/2201.06227)) tells how much a layer still changes.
    pub(super) fn plasticity(&self, other: &Self) -> f64 {
        let (own, other) = (self.scaled(), other.scaled());
        let squares = own.iter().zip(&other).map(|(a, b)| (a - b) * (a - b));
        squares.sum::<f64>() / (self.samples * self.samples).max(1) as f64
    }

    /// The whole square.
    fn square(&self) -> Vec<f64> {
        let mut square = vec![0.0; self.samples * self.samples];
        let places = (0..self.samples).flat_map(|row| (row..self.samples).map(move |column| (row, column)));
        for ((row, column), product) in places.zip(&self.triangle) {
            square[row * self.samples + column] = f64::from(*product);
            square[column * self.samples + row] = f64::from(*product);
        }
        square
    }

    /// The square, from whose rows and columns their means are taken.
    fn centred(&self) -> Vec<f64> {
        let (mut square, count) = (self.square(), self.samples as f64);
        let means = square.chunks_exact(self.samples.max(1)).map(|row| row.iter().sum::<f64>() / count);
        let means: Vec<f64> = means.collect();
        let mean = means.iter().sum::<f64>() / count;
        for (row, own) in square.chunks_exact_mut(self.samples.max(1)).zip(&means) {
            row.iter_mut().zip(&means).for_each(|(product, other)| *product += mean - own - other);
        }
        square
    }

    /// The square, with rows of norm 1, or 0.
    fn scaled(&self) -> Vec<f64> {
        let mut square = self.square();
        for row in square.chunks_exact_mut(self.samples.max(1)) {
            let norm = row.iter().map(|product| product * product).sum::<f64>().sqrt();
            row.iter_mut().filter(|_| norm > 0.0).for_each(|product| *product /= norm);
        }
        square
    }
}

/// Numbers that are added up in f32 before the sum goes on in f64.
const RUN: usize = 4096;

/// The product of two lists, by sums that grow side by side.
fn dot(one: &[f32], two: &[f32]) -> f64 {
    const SUMS: usize = 16;
    let run = |(one, two): (&[f32], &[f32])| {
        let mut sums = [0.0_f32; SUMS];
        let ((ones, rest), (twos, other)) = (one.as_chunks::<SUMS>(), two.as_chunks::<SUMS>());
        for (one, two) in ones.iter().zip(twos) {
            sums.iter_mut().zip(one.iter().zip(two)).for_each(|(sum, (a, b))| *sum += a * b);
        }
        let rest = rest.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() + rest
    };
    one.chunks(RUN).zip(two.chunks(RUN)).map(run).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use spfde_data::{Purpose, draw};

    /// What a layer of so many features puts out, from −1 to 1.
    fn outputs(stream: u64, samples: usize, features: usize) -> Vec<Vec<f32>> {
        let number = |sample, feature| draw(stream, Purpose::Synthetic, sample as u64, feature as u64);
        let number = |sample, feature| (number(sample, feature) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        (0..samples).map(|sample| (0..features).map(|feature| number(sample, feature)).collect()).collect()
    }

    /// ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) of features from which their means are taken, as the paper writes it.
    fn by_features(x: &[Vec<f32>], y: &[Vec<f32>]) -> f64 {
        let centre = |outputs: &[Vec<f32>]| -> Vec<Vec<f64>> {
            let column = |feature: usize| outputs.iter().map(move |sample| f64::from(sample[feature]));
            let columns = (0..outputs[0].len()).map(|feature| {
                let mean = column(feature).sum::<f64>() / outputs.len() as f64;
                column(feature).map(|number| number - mean).collect()
            });
            columns.collect()
        };
        let norm = |one: &[Vec<f64>], two: &[Vec<f64>]| {
            let product = |a: &Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            one.iter().flat_map(|a| two.iter().map(move |b| product(a, b).powi(2))).sum::<f64>()
        };
        let (x, y) = (centre(x), centre(y));
        norm(&x, &y) / (norm(&x, &x).sqrt() * norm(&y, &y).sqrt())
    }

    #[test]
    fn cka_by_samples_is_that_by_features() {
        for (samples, features) in [(5, 3), (12, 40), (30, 7)] {
            let (x, y) = (outputs(1, samples, features), outputs(2, samples, features + 2));
            let mixed: Vec<Vec<f32>> = x
                .iter()
                .zip(&outputs(3, samples, features))
                .map(|(x, noise)| x.iter().zip(noise).map(|(x, noise)| x + 0.1 * noise).collect())
                .collect();
            for other in [&y, &mixed] {
                let found = Products::of(&x).cka(&Products::of(other));
                let expected = by_features(&x, other);
                assert!((found - expected).abs() < 1e-5, "{samples}, {features}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn rotation_scale_and_offset_change_no_cka_and_a_layer_is_like_itself() {
        let x = outputs(1, 20, 2);
        let turned: Vec<Vec<f32>> = x
            .iter()
            .map(|sample| vec![3.0 + 0.6 * sample[0] - 0.8 * sample[1], 1.6 * sample[0] + 1.2 * sample[1]])
            .collect();
        // The second feature is scaled by two: that is no rotation.
        let cka = Products::of(&x).cka(&Products::of(&turned));
        assert!(cka < 0.999, "{cka}");
        let turned: Vec<Vec<f32>> = x
            .iter()
            .map(|sample| vec![3.0 + 1.2 * sample[0] - 1.6 * sample[1], 1.6 * sample[0] + 1.2 * sample[1]])
            .collect();
        let cka = Products::of(&x).cka(&Products::of(&turned));
        assert!((cka - 1.0).abs() < 1e-5, "{cka}");
        let own = Products::of(&x);
        assert!((own.cka(&own) - 1.0).abs() < 1e-12 && own.plasticity(&own) == 0.0);
    }

    #[test]
    fn plasticity_is_that_computed_by_hand() {
        // Products [[4, 0], [0, 1]], scaled to [[1, 0], [0, 1]]; then [[1, 1], [1, 1]], to 1 / √2 each.
        let (before, after) = (vec![vec![2.0, 0.0], vec![0.0, 1.0]], vec![vec![1.0], vec![1.0]]);
        let half = 0.5_f64.sqrt();
        let expected = (2.0 * (1.0 - half).powi(2) + 2.0 * half.powi(2)) / 4.0;
        let found = Products::of(&before).plasticity(&Products::of(&after));
        assert!((found - expected).abs() < 1e-7, "{found}, not {expected}");
    }

    #[test]
    fn what_tells_no_samples_apart_is_like_its_kind_only() {
        let (dead, constant) = (vec![vec![0.0; 3]; 4], vec![vec![2.0; 3]; 4]);
        let [dead, constant, other] =
            [dead, constant, outputs(1, 4, 3)].map(|outputs| Products::of(&outputs));
        assert_eq!((dead.cka(&constant), dead.cka(&other)), (1.0, 0.0));
        assert_eq!(dead.plasticity(&dead), 0.0);
        assert!(dead.plasticity(&other).is_finite());
    }

    #[test]
    fn long_lists_are_added_up_precisely() {
        let lists = outputs(5, 2, 3 * RUN + 5);
        let exact = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let (found, expected) = (dot(&lists[0], &lists[0]), exact(&lists[0], &lists[0]));
        assert!((found - expected).abs() < 1e-6 * expected, "{found}, not {expected}");
    }
}
