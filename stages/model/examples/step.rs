//! Times training steps by density: `cargo run --release -p spfde-model --example step -- [model] [width]
//! [densities] [repetitions] [kernel] [channels] [extent] [frozen blocks] [storage]`, such as `resnet32 2
//! 0.05,0.1,1 10 auto 3 32 0 bf16`.
//!
//! A step is a batch of 128 samples in four shards, one after another, and one update. Times are minima over
//! the repetitions, in milliseconds, those of operations in all four shards, too.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use spfde_data::architecture::LayerKind;
use spfde_data::parameter::{Parameters, Setting, Value};
use spfde_data::random::{Purpose, draw};
use spfde_model::{
    Activations, Growth, InputShape, Kernel, MomentumSgd, Network, Shard, Storage, Workspace, models,
};

const SHARDS: usize = 4;
const SAMPLES: usize = 32;

/// Seconds by operation, and what runs now since when.
#[derive(Default)]
struct Profile {
    seconds: BTreeMap<String, f64>,
    running: Option<(String, Instant)>,
}

impl Profile {
    fn next(&mut self, name: &str) {
        if let Some((name, since)) = self.running.take() {
            *self.seconds.entry(name).or_default() += since.elapsed().as_secs_f64();
        }
        self.running = (name != "end").then(|| (name.to_owned(), Instant::now()));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |place: usize, default: &'static str| arguments.get(place).map_or(default, |a| a.as_str());
    let (model, width) = (argument(0, "resnet20"), argument(1, "1").parse()?);
    let repetitions: usize = argument(3, "10").parse()?;
    let kernel = Kernel::resolve(argument(4, "auto"))?;
    let (channels, extent) = (argument(5, "1").parse()?, argument(6, "28").parse()?);
    let frozen: usize = argument(7, "0").parse()?;
    let storage = Storage::from_value(&Value::Text(argument(8, "f32").into())).ok_or("no such storage")?;
    let known = models::registry();
    let entry = known.iter().find(|entry| entry.name == model).ok_or("no such model")?;
    let known = (entry.parameters)();
    let parameters = Parameters::defaults(&known).with(&known, "model.width", Value::Integer(width))?;
    for density in argument(2, "0.1,0.15,1").split(',') {
        let density: f64 = density.parse()?;
        let shape = InputShape { channels, height: extent, width: extent };
        let mut network = Network::from_description((entry.build)(&parameters, shape, 10)?, 1, kernel);
        network.set_storage(storage);
        sparsify(&mut network, density);
        network.freeze(frozen);
        measure(&mut network, shape, density, repetitions);
    }
    Ok(())
}

/// Masks all layers at random but the last and a first convolution.
fn sparsify(network: &mut Network, density: f64) {
    if density >= 1.0 {
        return;
    }
    let layers = &network.architecture().layers;
    let first = usize::from(layers[0].kind == LayerKind::Convolution);
    for layer in first..layers.len() - 1 {
        let weights = network.nonzero(layer) as u64;
        let kept: Vec<u32> = (0..weights)
            .filter(|index| {
                let bits = draw(1, Purpose::Mask, layer as u64, *index);
                (bits >> 11) as f64 / (1_u64 << 53) as f64 <= density
            })
            .map(|index| index as u32)
            .collect();
        network.mask(layer, density);
        network.apply_mask(layer, &[], &kept, Growth::Initial);
    }
}

/// Lets a fifth of the weights of every masked layer cease to exist and as many begin to; seconds of merging
/// the deltas and rebuilding what the kernels run over.
fn update_masks(network: &mut Network, repetition: u64) -> f64 {
    let mut seconds = 0.0;
    for layer in 0..network.architecture().layers.len() {
        if !network.is_masked(layer) {
            continue;
        }
        let exists = |index: u64| network.indices(layer).binary_search(&(index as u32)).is_ok();
        let weights = network.architecture().layers[layer].weights() as u64;
        let chosen = |index: &u64| draw(repetition, Purpose::Mask, layer as u64, *index).is_multiple_of(5);
        let dropped: Vec<u32> =
            (0..weights).filter(|index| exists(*index) && chosen(index)).map(|index| index as u32).collect();
        let absent = (0..weights).filter(|index| !exists(*index) && chosen(index));
        let grown: Vec<u32> = absent.map(|index| index as u32).take(dropped.len()).collect();
        let start = Instant::now();
        network.apply_mask(layer, &dropped, &grown, Growth::Zero);
        seconds += start.elapsed().as_secs_f64();
    }
    seconds
}

fn measure(network: &mut Network, shape: InputShape, density: f64, repetitions: usize) {
    let InputShape { channels, height, width } = shape;
    let inputs: Vec<Activations> = (0..SHARDS as u64)
        .map(|shard| {
            let lanes = network.kernel().lanes();
            let shape = (network.kernel().groups(SAMPLES), height, channels, width, lanes);
            Activations::from_shape_fn(shape, |(group, row, channel, column, lane)| {
                let place = ((group * height + row) * channels + channel) * width + column;
                let bits = draw(shard, Purpose::Synthetic, place as u64, lane as u64);
                (bits >> 40) as f32 / (1 << 23) as f32 - 1.0
            })
        })
        .collect();
    let labels: Vec<u16> = (0..SAMPLES as u16).map(|sample| sample % 10).collect();
    let profile = Arc::new(Mutex::new(Profile::default()));
    let mut workspace = Workspace::new(network);
    let listener = Arc::clone(&profile);
    workspace.listen(move |name| listener.lock().expect("one thread").next(name));
    let mut part = vec![0.0; network.part_len()];
    let mut sum = part.clone();
    let rates = vec![0.01; network.architecture().blocks.len() + 1];
    let (mut step, mut update) = (f64::INFINITY, f64::INFINITY);
    let mut best = BTreeMap::<String, f64>::new();
    for _ in 0..=repetitions {
        profile.lock().expect("one thread").seconds.clear();
        let start = Instant::now();
        sum.fill(0.0);
        for inputs in &inputs {
            let weights = [1.0; SAMPLES];
            let batch_samples = SHARDS * SAMPLES;
            let shard = Shard { inputs, labels: &labels, weights: &weights, noise: &[], batch_samples };
            network.train_shard(&mut workspace, &shard, &mut part);
            sum.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
        }
        let trained = start.elapsed().as_secs_f64();
        network.update(&sum, &rates, &MomentumSgd { momentum: 0.9, weight_decay: 1e-4, nesterov: false });
        let whole = start.elapsed().as_secs_f64();
        update = update.min(whole - trained);
        step = step.min(whole);
        for (name, seconds) in &profile.lock().expect("one thread").seconds {
            let least = best.entry(name.clone()).or_insert(f64::INFINITY);
            *least = seconds.min(*least);
        }
    }
    let architecture = network.architecture();
    let flops: u64 = (0..architecture.layers.len())
        .map(|layer| {
            let passes = if layer == 0 { 2 } else { 3 };
            passes * architecture.layers[layer].flops_per_weight() * network.nonzero(layer) as u64
        })
        .sum();
    let rate = flops as f64 * (SHARDS * SAMPLES) as f64 / step * 1e-9;
    println!(
        "density {density}: {:.1} ms a step ({rate:.1} GFLOP/s), {:.2} ms of it update, {} weights, {}",
        step * 1e3,
        update * 1e3,
        (0..architecture.layers.len()).map(|layer| network.nonzero(layer)).sum::<usize>(),
        network.kernel().name(),
    );
    println!("  {:6.2} ms  all operations", best.values().sum::<f64>() * 1e3);
    for (name, seconds) in best {
        println!("  {:6.2} ms  {name}", seconds * 1e3);
    }
    let deltas = (0..repetitions as u64).map(|repetition| update_masks(network, repetition));
    let fastest = deltas.fold(f64::INFINITY, f64::min);
    println!("  {:6.2} ms  a mask update: a fifth of all masked weights dropped and grown", fastest * 1e3);
}
