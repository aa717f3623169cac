//! What would a freeze policy of one's own have decided? `cargo run --release --example own_replay -- runs/mlp-0-1`

use spfde::prelude::*;

/// Blocks freeze front to back, one an epoch, once the gradient of a block's first layer has halved.
#[derive(Default)]
struct Halved {
    left: Vec<(usize, usize)>, // the front block last, with its first layer
    norms: std::collections::BTreeMap<usize, (f32, f32)>,
}

impl FreezePolicy for Halved {
    fn name(&self) -> &'static str {
        "halved"
    }
    fn start(&self, Plan { architecture, .. }: &Plan) -> Box<dyn FreezeState> {
        let first = |block| Some((block, architecture.layers_of(block).next()?));
        let left = (0..architecture.blocks.len()).rev().filter_map(first).collect();
        Box::new(Self { left, ..Self::default() })
    }
}

impl FreezeState for Halved {
    fn observe(&mut self, row: &GradientRow) {
        self.norms.entry(row.layer.into()).or_insert((row.l2, row.l2)).1 = row.l2;
    }
    fn decide(&mut self, _: u32) -> Vec<Freeze> {
        let halved = |(first, last): &(f32, f32)| last * 2.0 < *first;
        let block = self.left.pop_if(|(_, layer)| self.norms.get(layer).is_some_and(halved));
        block.into_iter().map(|(block, _)| Freeze { block, reason: "its norm has halved".into() }).collect()
    }
}

fn main() -> std::process::ExitCode {
    spfde::replay_main(
        |experiment| experiment.with_freeze(std::sync::Arc::new(Halved::default())),
        spfde::pipeline,
    )
}
