//! What dense training would take: a yardstick for the measured cost.

use std::time::Instant;

use spfde_data::augment::Placement;
use spfde_flow::Settings;
use spfde_model::{Activations, Shard, Workspace, input};

/// Seconds that one thread takes to train one sample densely, with this network, kernel and data: the fastest of
/// three steps on one shard. For people only.
pub fn dense_seconds_per_sample(settings: &Settings) -> Option<f64> {
    let network = settings.network().ok()?;
    let images = &settings.data.train;
    let shard = settings.batch_size.div_ceil(settings.shards);
    let samples: Vec<u32> = (0..images.len().min(shard) as u32).collect();
    let labels: Vec<u16> = samples.iter().map(|sample| images.labels[*sample as usize]).collect();
    let weights = vec![1.0; samples.len()];
    let mut inputs = Activations::default((0, 0, 0, 0));
    input::gather(images, &settings.data.normalization, &samples, |_| Placement::default(), &mut inputs);
    let shard = Shard { inputs: &inputs, labels: &labels, weights: &weights, batch_samples: samples.len() };
    let mut workspace = Workspace::new(&network);
    let mut part = vec![0.0; network.part_len()];
    let mut step = || {
        let start = Instant::now();
        part.fill(0.0);
        network.train_shard(&mut workspace, &shard, &mut part, &mut Vec::new());
        start.elapsed().as_secs_f64() / samples.len() as f64
    };
    (0..3).map(|_| step()).min_by(f64::total_cmp)
}
