//! A chain of linear layers in f64, whose gradients have a closed form, as an untrained network.

use spfde_data::random::{Purpose, draw};

use crate::mask::Untrained;

/// The outputs are Wₙ … W₁ x, and the loss is half the squared distance from `targets`, the mean over the
/// samples.
pub(super) struct Chain {
    /// Features, input first.
    pub(super) sizes: Vec<usize>,
    pub(super) weights: Vec<Vec<f64>>,
    pub(super) inputs: Vec<Vec<f64>>,
    pub(super) targets: Vec<Vec<f64>>,
    /// Samples in a batch.
    pub(super) batch: usize,
    /// The weights at which gradients were asked for, and over how many batches.
    pub(super) asked: Vec<(Vec<Vec<f32>>, u32)>,
}

fn whole(seed: u64, purpose: usize, at: usize, most: i64) -> f64 {
    let drawn = draw(seed, Purpose::User, purpose as u64, at as u64);
    (drawn % (2 * most as u64 + 1)) as f64 - most as f64
}

impl Chain {
    /// Small whole numbers, so that f32 holds all results exactly, and many scores are equal.
    pub(super) fn whole(seed: u64, sizes: &[usize]) -> Self {
        let numbers = |purpose: usize, count: usize, most: i64| -> Vec<f64> {
            (0..count).map(|at| whole(seed, purpose, at, most)).collect()
        };
        let layer = |(at, pair): (usize, &[usize])| numbers(at, pair[0] * pair[1], 3);
        let samples = |purpose: usize, size: usize| -> Vec<Vec<f64>> {
            (0..8).map(|sample| numbers(purpose + sample, size, 2)).collect()
        };
        Self {
            sizes: sizes.to_vec(),
            weights: sizes.windows(2).enumerate().map(layer).collect(),
            inputs: samples(100, sizes[0]),
            targets: samples(200, sizes[sizes.len() - 1]),
            batch: 4,
            asked: Vec::new(),
        }
    }

    /// The same with fractions in place of ties: weights of about one by the square root of the inputs.
    pub(super) fn uneven(seed: u64, sizes: &[usize]) -> Self {
        let mut chain = Self::whole(seed, sizes);
        for (layer, weights) in chain.weights.iter_mut().enumerate() {
            let scale = 1e6 * (sizes[layer] as f64).sqrt();
            let number = |at: usize| f64::from((whole(seed, 300 + layer, at, 2_000_000) / scale) as f32);
            *weights = (0..weights.len()).map(number).collect();
        }
        chain
    }

    /// W h of a layer.
    fn forward(&self, weights: &[f64], layer: usize, values: &[f64]) -> Vec<f64> {
        let inputs = self.sizes[layer];
        let output =
            |row: usize| (0..inputs).map(|column| weights[row * inputs + column] * values[column]).sum();
        (0..self.sizes[layer + 1]).map(output).collect()
    }

    /// Wᵀ δ of a layer.
    fn backward(&self, weights: &[f64], layer: usize, errors: &[f64]) -> Vec<f64> {
        let inputs = self.sizes[layer];
        let input =
            |column: usize| (0..errors.len()).map(|row| weights[row * inputs + column] * errors[row]).sum();
        (0..inputs).map(input).collect()
    }

    /// The values in front of each layer and behind the last.
    fn values(&self, weights: &[Vec<f64>], input: &[f64]) -> Vec<Vec<f64>> {
        let mut values = vec![input.to_vec()];
        for (layer, weights) in weights.iter().enumerate() {
            values.push(self.forward(weights, layer, &values[layer]));
        }
        values
    }

    /// The sum of the outputs for an input of ones.
    pub(super) fn flow_through(&self, weights: &[Vec<f64>]) -> f64 {
        self.values(weights, &vec![1.0; self.sizes[0]]).pop().unwrap().iter().sum()
    }

    /// δ hᵀ, layer by layer, from the error of the outputs.
    fn outer(&self, weights: &[Vec<f64>], values: &[Vec<f64>], mut errors: Vec<f64>) -> Vec<Vec<f64>> {
        let mut gradients = vec![Vec::new(); weights.len()];
        for layer in (0..weights.len()).rev() {
            gradients[layer] = product(&errors, &values[layer]);
            errors = self.backward(&weights[layer], layer, &errors);
        }
        gradients
    }

    pub(super) fn flow(&self, weights: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let values = self.values(weights, &vec![1.0; self.sizes[0]]);
        self.outer(weights, &values, vec![1.0; self.sizes[weights.len()]])
    }

    /// The gradient of the mean loss over the first batches.
    pub(super) fn gradient(&self, weights: &[Vec<f64>], batches: u32) -> Vec<Vec<f64>> {
        let samples = self.batch * batches as usize;
        let mut sum: Vec<Vec<f64>> = weights.iter().map(|weights| vec![0.0; weights.len()]).collect();
        for (input, target) in self.inputs.iter().zip(&self.targets).take(samples) {
            let values = self.values(weights, input);
            let errors = self.errors(&values, target, samples);
            add(&mut sum, self.outer(weights, &values, errors));
        }
        sum
    }

    fn errors(&self, values: &[Vec<f64>], target: &[f64], samples: usize) -> Vec<f64> {
        let outputs = &values[values.len() - 1];
        outputs.iter().zip(target).map(|(output, target)| (output - target) / samples as f64).collect()
    }

    /// The product of the Hessian of that loss with a direction: the derivative of the gradient along it.
    pub(super) fn curvature(&self, weights: &[Vec<f64>], along: &[Vec<f64>], batches: u32) -> Vec<Vec<f64>> {
        let samples = self.batch * batches as usize;
        let mut sum: Vec<Vec<f64>> = weights.iter().map(|weights| vec![0.0; weights.len()]).collect();
        for (input, target) in self.inputs.iter().zip(&self.targets).take(samples) {
            let values = self.values(weights, input);
            let mut moved = vec![vec![0.0; input.len()]];
            for layer in 0..weights.len() {
                let mut next = self.forward(&along[layer], layer, &values[layer]);
                let through = self.forward(&weights[layer], layer, &moved[layer]);
                next.iter_mut().zip(through).for_each(|(next, through)| *next += through);
                moved.push(next);
            }
            let mut errors = self.errors(&values, target, samples);
            let mut change: Vec<f64> =
                moved[weights.len()].iter().map(|moved| moved / samples as f64).collect();
            for layer in (0..weights.len()).rev() {
                let parts = [product(&change, &values[layer]), product(&errors, &moved[layer])];
                for part in parts {
                    sum[layer].iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
                }
                let through = self.backward(&weights[layer], layer, &change);
                change = self.backward(&along[layer], layer, &errors);
                change.iter_mut().zip(through).for_each(|(change, through)| *change += through);
                errors = self.backward(&weights[layer], layer, &errors);
            }
        }
        sum
    }
}

fn product(rows: &[f64], columns: &[f64]) -> Vec<f64> {
    rows.iter().flat_map(|row| columns.iter().map(move |column| row * column)).collect()
}

fn add(sum: &mut [Vec<f64>], parts: Vec<Vec<f64>>) {
    sum.iter_mut().flatten().zip(parts.into_iter().flatten()).for_each(|(sum, part)| *sum += part);
}

pub(super) fn narrow(layers: &[Vec<f64>]) -> Vec<Vec<f32>> {
    layers.iter().map(|layer| layer.iter().map(|value| *value as f32).collect()).collect()
}

pub(super) fn widen(layers: &[Vec<f32>]) -> Vec<Vec<f64>> {
    layers.iter().map(|layer| layer.iter().map(|value| f64::from(*value)).collect()).collect()
}

impl Untrained for Chain {
    fn weights(&self) -> Vec<Vec<f32>> {
        narrow(&self.weights)
    }

    fn gradients(&mut self, weights: &[Vec<f32>], batches: u32, _: f64) -> Vec<Vec<f32>> {
        self.asked.push((weights.to_vec(), batches));
        narrow(&self.gradient(&widen(weights), batches))
    }

    fn flow(&mut self, weights: &[Vec<f32>]) -> Vec<Vec<f32>> {
        assert!(weights.iter().flatten().all(|weight| *weight >= 0.0), "no weight is negative");
        self.asked.push((weights.to_vec(), 0));
        narrow(&Chain::flow(self, &widen(weights)))
    }
}

/// The `count` greatest scores of the `masked` layers, ties by layer and index; the greatest of each layer
/// first, so that none is empty.
pub(super) fn top(scores: &[Vec<f64>], masked: &[usize], count: usize) -> Vec<Vec<u32>> {
    let mut all: Vec<(f64, usize, u32)> = Vec::new();
    for layer in masked {
        all.extend((0u32..).zip(&scores[*layer]).map(|(index, score)| (*score, *layer, index)));
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut masks = vec![Vec::new(); scores.len()];
    let first = |layer: usize| *all.iter().find(|one| one.1 == layer).unwrap();
    let kept: Vec<(f64, usize, u32)> = masked.iter().map(|layer| first(*layer)).collect();
    let others = all.iter().filter(|one| !kept.contains(one)).take(count - masked.len());
    kept.iter().chain(others).for_each(|(_, layer, index)| masks[*layer].push(*index));
    masks.iter_mut().for_each(|mask| mask.sort_unstable());
    masks
}

/// Finite differences agree with the closed forms, which the tests of the rules lean on.
#[test]
fn the_closed_forms_are_derivatives() {
    let chain = Chain::uneven(5, &[4, 6, 5, 3]);
    let loss = |weights: &[Vec<f64>]| -> f64 {
        let one = |(input, target): (&Vec<f64>, &Vec<f64>)| -> f64 {
            let outputs = chain.values(weights, input).pop().unwrap();
            outputs.iter().zip(target).map(|(output, target)| (output - target).powi(2) / 2.0).sum()
        };
        chain.inputs.iter().zip(&chain.targets).map(one).sum::<f64>() / 8.0
    };
    let gradient = chain.gradient(&chain.weights, 2);
    let curvature = chain.curvature(&chain.weights, &gradient, 2);
    for (layer, index) in [(0, 0), (0, 23), (1, 7), (2, 14)] {
        let moved = |by: f64| {
            let mut weights = chain.weights.clone();
            weights[layer][index] += by;
            loss(&weights)
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!((slope - gradient[layer][index]).abs() < 1e-6, "{slope} {}", gradient[layer][index]);
        let along = |by: f64| {
            let mut weights = chain.weights.clone();
            weights.iter_mut().flatten().zip(gradient.iter().flatten()).for_each(|(w, g)| *w += by * g);
            chain.gradient(&weights, 2)[layer][index]
        };
        let slope = (along(1e-5) - along(-1e-5)) / 2e-5;
        assert!((slope - curvature[layer][index]).abs() < 1e-6, "{slope} {}", curvature[layer][index]);
    }
}
