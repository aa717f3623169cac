//! The front apart from the rest: what it hands on of a sample is a constant, from which training goes on as
//! if it had computed it.

use spfde_data::FrozenBlocks;
use spfde_model::{
    Activations, Entries, InputShape, Kernel, Network, Packing, Score, Storage, Wanted, Workspace,
};

use crate::operations::{self, CLASSES, NETWORKS, SHAPE};
use crate::support::{Samples, activations, network, relative_error, samples, shake, sparsify, train};

/// Networks of all kinds of operations, and those with linear layers in front and with sums between blocks.
fn networks(kernel: Kernel, density: f64) -> Vec<(&'static str, Network, InputShape)> {
    let named = ["mlp", "lenet5", "resnet20"].map(|name| {
        let mut network = network(name, SHAPE_OF_MODELS, CLASSES, kernel);
        sparsify(&mut network, density, None, None);
        shake(&mut network);
        (name, network, SHAPE_OF_MODELS)
    });
    let small = NETWORKS.into_iter().map(|(name, define)| {
        let network = operations::network(define, kernel, density);
        (name, network, SHAPE)
    });
    named.into_iter().chain(small).collect()
}

const SHAPE_OF_MODELS: InputShape = InputShape { channels: 1, height: 12, width: 12 };

/// The entries of some samples, made one by one or all at once.
fn enter(network: &Network, samples: &Samples, packing: Packing) -> Vec<Vec<u8>> {
    let inputs = activations(network.kernel(), samples, 0.5);
    network.enter(&mut Workspace::new(network), &inputs, samples.labels.len(), packing)
}

/// One of the samples.
fn alone(all: &Samples, sample: usize, shape: InputShape) -> Samples {
    let numbers = all.shape[1..].iter().product::<usize>();
    let pixels = all.pixels[sample * numbers..][..numbers].to_vec();
    Samples { pixels, ..samples(1, shape, CLASSES) }
}

fn entries<'a>(front: usize, packing: Packing, entries: &'a [&'a [u8]]) -> Entries<'a> {
    Entries { front, packing, entries }
}

fn slices(entries: &[Vec<u8>]) -> Vec<&[u8]> {
    entries.iter().map(Vec::as_slice).collect()
}

/// What a shard contributes behind the front.
fn train_behind(network: &Network, samples: &Samples, from: &Entries<'_>) -> (Vec<f32>, Vec<Score>) {
    let nothing = Activations::default((0, 0, 0, 0, 0));
    let mut part = vec![f32::NAN; network.part_len()];
    let wanted = Wanted { part: &mut part, ..Wanted::default() };
    let shard = samples.shard(&nothing, 40);
    let scores = network.train_shard_behind(&mut Workspace::new(network), &shard, from, wanted);
    (part, scores)
}

#[test]
fn training_behind_exact_entries_has_the_same_bits() {
    for kernel in Kernel::all() {
        for storage in [Storage::F32, Storage::Bf16] {
            for (name, mut network, shape) in networks(kernel, 0.4) {
                network.set_storage(storage);
                let samples = samples(2 * kernel.lanes() + 3, shape, CLASSES);
                let blocks = network.architecture().blocks.len();
                let ends = (0..blocks).map(|block| block == 0 || block + 1 == blocks).collect();
                for frozen in (1..=blocks).map(FrozenBlocks::from).chain([ends]) {
                    network.freeze(&frozen);
                    let (front, made) = (network.front(), enter(&network, &samples, Packing::Exact));
                    if front == 0 {
                        assert_eq!((name, frozen.prefix()), ("concatenation", 1));
                        continue;
                    }
                    let numbers = network.description().front_numbers(front);
                    assert!(made.iter().all(|entry| entry.len() == numbers * storage.bytes()), "{name}");
                    let made = slices(&made);
                    let found = train_behind(&network, &samples, &entries(front, Packing::Exact, &made));
                    let what = format!("{name} on {} in {storage:?}, {frozen} frozen", kernel.name());
                    assert!(found == train(&network, &samples, 40), "{what}");
                }
            }
        }
    }
}

#[test]
fn an_entry_depends_on_its_sample_alone() {
    for kernel in Kernel::all() {
        for (name, mut network, shape) in networks(kernel, 1.0) {
            network.freeze(network.architecture().blocks.len());
            let samples = samples(5 * kernel.lanes() + 1, shape, CLASSES);
            let all = enter(&network, &samples, Packing::Exact);
            for sample in [0, 1, kernel.lanes(), 3 * kernel.lanes() - 1, 5 * kernel.lanes()] {
                let alone = enter(&network, &alone(&samples, sample, shape), Packing::Exact);
                assert!(alone[0] == all[sample], "{name} on {}, sample {sample}", kernel.name());
            }
        }
    }
}

#[test]
fn entries_of_a_shorter_front_go_on_to_those_of_a_longer_one() {
    let kernel = Kernel::resolve("auto").unwrap();
    for storage in [Storage::F32, Storage::Bf16] {
        for (name, mut network, shape) in networks(kernel, 0.4) {
            network.set_storage(storage);
            let samples = samples(kernel.lanes() + 2, shape, CLASSES);
            let blocks = network.architecture().blocks.len();
            for (from, to) in (1..=blocks).flat_map(|from| (from..=blocks).map(move |to| (from, to))) {
                network.freeze(from);
                let (front, short) = (network.front(), enter(&network, &samples, Packing::Exact));
                if front == 0 {
                    continue;
                }
                network.freeze(to);
                let short = slices(&short);
                let mut workspace = Workspace::new(&network);
                let long = network.extend(&mut workspace, &entries(front, Packing::Exact, &short));
                assert!(
                    long == enter(&network, &samples, Packing::Exact),
                    "{name} in {storage:?}: {from}, {to}"
                );
            }
        }
    }
}

#[test]
fn f16_takes_two_bytes_and_rounds_to_eleven_bits() {
    let kernel = Kernel::resolve("auto").unwrap();
    for (name, mut network, shape) in networks(kernel, 0.4) {
        network.freeze(1);
        let samples = samples(21, shape, CLASSES);
        let (exact, half) =
            (enter(&network, &samples, Packing::Exact), enter(&network, &samples, Packing::F16));
        for (exact, half) in exact.iter().zip(&half) {
            assert_eq!(exact.len(), 2 * half.len(), "{name}");
            let exact = exact.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            let half = half.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
            for (exact, half) in exact.zip(half) {
                // Sign, five bits of exponent, ten of mantissa, by hand.
                let (exponent, mantissa) = (i32::from(half >> 10 & 31), f64::from(half & 1023));
                let magnitude = match exponent {
                    0 => mantissa * 2_f64.powi(-24),
                    _ => (1.0 + mantissa / 1024.0) * 2_f64.powi(exponent - 15),
                };
                let number = if half >> 15 == 1 { -magnitude } else { magnitude };
                let (exact, bound) = (f64::from(exact), magnitude.max(2_f64.powi(-14)) / 2048.0);
                assert!((number - exact).abs() <= bound, "{name}: {exact} became {number}");
            }
        }
        let (front, half) = (network.front(), slices(&half));
        if front > 0 {
            let (part, _) = train_behind(&network, &samples, &entries(front, Packing::F16, &half));
            let expected: Vec<f64> = train(&network, &samples, 40).0.into_iter().map(f64::from).collect();
            let error = relative_error(&part, &expected);
            assert!(error > 0.0 && error < 0.02, "{name}: {error:.1e}");
        }
        network.set_storage(Storage::Bf16);
        assert!(enter(&network, &samples, Packing::F16) == enter(&network, &samples, Packing::Exact));
    }
}

#[test]
fn numbers_beyond_f16_become_its_greatest_and_stay_finite() {
    let mut network = network("lenet5", SHAPE_OF_MODELS, CLASSES, Kernel::PORTABLE);
    network.freeze(1);
    let mut samples = samples(1, SHAPE_OF_MODELS, CLASSES);
    samples.pixels.iter_mut().for_each(|pixel| *pixel *= 1e8);
    let entry = &enter(&network, &samples, Packing::F16)[0];
    let numbers: Vec<u16> =
        entry.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes) & 0x7FFF).collect();
    assert!(numbers.iter().all(|number| *number < 0x7C00) && numbers.contains(&0x7BFF));
}

#[test]
fn the_front_ends_before_what_is_drawn_anew_and_keeps_no_images() {
    let kernel = Kernel::PORTABLE;
    for (name, mut network, _) in networks(kernel, 1.0) {
        network.freeze(0);
        assert_eq!(network.front(), 0, "{name}");
        network.freeze(1);
        match name {
            // Convolution; what follows drops.
            "dropout" => assert_eq!((network.front(), network.description().front_layers(1)), (1, 1)),
            // A block that trains reads the images.
            "concatenation" => assert_eq!(network.front(), 0),
            _ => assert!(network.front() > 0, "{name}"),
        }
    }
}
