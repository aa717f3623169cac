//! The seams of a step: another precision, loss or optimiser, and gradients of inputs.

use std::borrow::Cow;
use std::sync::Arc;

use spfde_model::{
    Activations, InputShape, Kernel, Loss, Network, Optimiser, Perturbation, Precision, Score, State,
    Workspace,
};

use crate::families::{Norms, Overrides, model};
use crate::support::{Samples, activations, bits, network, relative_error, samples, shake, sparsify, train};

const MODELS: [(&str, InputShape); 3] = [
    ("mlp", InputShape { channels: 2, height: 3, width: 4 }),
    ("lenet5", InputShape { channels: 2, height: 14, width: 13 }),
    ("resnet20", InputShape { channels: 3, height: 9, width: 7 }),
];
const CLASSES: usize = 5;

fn masked(name: &str, shape: InputShape, kernel: Kernel) -> Network {
    let mut network = network(name, shape, CLASSES, kernel);
    sparsify(&mut network, 0.3, None, None);
    shake(&mut network);
    network
}

fn input_gradient(network: &Network, samples: &Samples, batch_samples: usize) -> Activations {
    let inputs = activations(network.kernel(), samples, f32::NAN);
    let shard = samples.shard(&inputs, batch_samples);
    let mut gradient = Activations::from_elem((1, 1, 1, 1, 1), 7.0);
    network.input_gradient(&mut Workspace::new(network), &shard, &mut gradient);
    assert_eq!(gradient.dim(), inputs.dim());
    gradient
}

#[test]
fn gradients_of_inputs_are_those_of_the_reference_also_through_a_frozen_prefix() {
    for (name, shape) in MODELS {
        let samples = samples(9, shape, CLASSES);
        for kernel in Kernel::all() {
            let mut network = masked(name, shape, kernel);
            for frozen in [0, network.architecture().blocks.len()] {
                network.freeze(frozen);
                let reference = model(name, &network, &samples, 20, Norms::Batch, &Overrides::new());
                // The samples are the first value of the reference.
                let expected = reference.reference.gradients(reference.loss).swap_remove(0);
                let gradient = input_gradient(&network, &samples, 20);
                let [count, c, h, w] = samples.shape;
                let mut found = vec![0.0; count * c * h * w];
                let lanes = kernel.lanes();
                for ((group, row, channel, column, lane), value) in gradient.indexed_iter() {
                    match group * lanes + lane {
                        sample if sample < count => {
                            found[((sample * c + channel) * h + row) * w + column] = *value;
                        }
                        _ => assert_eq!(*value, 0.0, "there is no sample"),
                    }
                }
                let error = relative_error(&found, &expected);
                assert!(error < 2e-5, "{name} with {frozen} frozen is off by {error:.1e}");
            }
        }
    }
}

/// Every input moves by `size` against its sign of the gradient: fast gradient sign (Goodfellow et al. 2015).
#[derive(Debug)]
struct FastSign(f32);

impl Perturbation for FastSign {
    fn needs_gradient(&self) -> bool {
        true
    }

    fn perturb(&self, inputs: &mut Activations, gradient: Option<&Activations>) {
        for (input, gradient) in inputs.iter_mut().zip(gradient.unwrap()) {
            *input += self.0 * gradient.signum();
        }
    }
}

#[test]
fn a_step_along_the_gradient_of_the_inputs_raises_the_loss() {
    let (name, shape) = MODELS[1];
    let network = masked(name, shape, Kernel::PORTABLE);
    let samples = samples(9, shape, CLASSES);
    let loss = |inputs: &Activations| {
        let shard = samples.shard(inputs, 9);
        let scores = network.observe_shard(&mut Workspace::new(&network), &shard);
        scores.iter().zip(&samples.weights).map(|(score, weight)| score.loss * weight).sum::<f32>()
    };
    let mut inputs = activations(network.kernel(), &samples, 0.0);
    let before = loss(&inputs);
    FastSign(0.01).perturb(&mut inputs, Some(&input_gradient(&network, &samples, 9)));
    assert!(loss(&inputs) > before);
}

/// Keeps so many of the bits of every number.
#[derive(Debug)]
struct Truncated(u32);

impl Truncated {
    fn round(&self, value: f32) -> f32 {
        f32::from_bits(value.to_bits() >> (32 - self.0) << (32 - self.0))
    }

    fn all(&self, numbers: &mut [f32]) {
        numbers.iter_mut().for_each(|value| *value = self.round(*value));
    }
}

impl Precision for Truncated {
    fn weights<'a>(&self, _: usize, values: &'a [f32]) -> Cow<'a, [f32]> {
        values.iter().map(|value| self.round(*value)).collect()
    }

    fn inputs(&self, _: usize, numbers: &mut [f32]) {
        self.all(numbers);
    }

    fn gradients(&self, _: usize, numbers: &mut [f32]) {
        self.all(numbers);
    }
}

#[test]
fn a_precision_rounds_what_layers_multiply_and_keeps_their_weights() {
    for (name, shape) in MODELS {
        let mut network = masked(name, shape, Kernel::resolve("auto").unwrap());
        let samples = samples(11, shape, CLASSES);
        let (exact, before) = (train(&network, &samples, 11), bits(&network));
        let mut with = |precision: Option<Arc<dyn Precision>>| {
            network.set_precision(precision.as_ref());
            assert!(bits(&network) == before, "stored weights stay");
            train(&network, &samples, 11)
        };
        assert_eq!(with(None), exact);
        assert_eq!(with(Some(Arc::new(Truncated(32)))), exact, "all bits");
        let (part, _) = with(Some(Arc::new(Truncated(16))));
        let expected: Vec<f64> = exact.0.iter().map(|number| f64::from(*number)).collect();
        let error = relative_error(&part, &expected);
        assert!((1e-4..0.5).contains(&error), "{name}: bfloat16 is off by {error:.1e}");
        assert_eq!(with(None), exact);
    }
}

/// Half the square of the distance from the one-hot label.
#[derive(Debug)]
struct Squares;

impl Loss for Squares {
    fn judge(&self, logits: &mut [f64], label: usize) -> Score {
        logits[label] -= 1.0;
        let square: f64 = logits.iter().map(|error| error * error).sum();
        Score { loss: (square / 2.0) as f32, correct: false, error_norm: square.sqrt() as f32, class: None }
    }
}

#[test]
fn another_loss_has_the_gradients_of_its_finite_differences() {
    let (name, shape) = MODELS[1];
    let mut network = masked(name, shape, Kernel::PORTABLE);
    network.set_loss(Arc::new(Squares));
    let samples = samples(3, shape, CLASSES);
    let mean = |scores: &[Score]| -> f64 {
        let weighted = scores.iter().zip(&samples.weights);
        weighted.map(|(score, weight)| f64::from(score.loss) * f64::from(*weight)).sum::<f64>() / 3.0
    };
    let (part, _) = train(&network, &samples, 3);
    // The last numbers of a part are the gradients of the classifier's biases.
    let biases = &part[part.len() - CLASSES..];
    #[derive(Debug)]
    struct Move(f32);
    impl Optimiser for Move {
        fn step(&self, values: &mut [f32], _: State<'_>, direction: &[f32], _: f32, _: f32) {
            values.iter_mut().zip(direction).for_each(|(value, by)| *value += self.0 * by);
        }
    }
    for class in 0..CLASSES {
        let loss = |by: f32| {
            let mut moved = network.clone();
            let mut direction = vec![0.0; part.len()];
            direction[part.len() - CLASSES + class] = 1.0;
            moved.update(&direction, &[0.0; 5], &Move(by));
            mean(&train(&moved, &samples, 3).1)
        };
        let difference = (loss(0.01) - loss(-0.01)) / 0.02;
        assert!((difference - f64::from(biases[class])).abs() < 1e-3, "class {class}: {difference}");
    }
}
