//! What would a freeze rule of one's own have decided?
//!
//! `cargo run --release --example own_replay -- replay runs/mlp-0-1 freeze.policy=halved`

use spfde::prelude::*;

parameters! {
    /// Blocks freeze front to back, one an epoch, once the gradient of a layer of theirs has become small.
    pub struct Halved in "freeze" {
        /// the share of its first norm below which a gradient is small
        pub share: f64 = 0.5, 0.0..=1.0;
    }
}
state! {
    /// The first and the latest norm of a block's gradient.
    pub struct Norms { first: Option<f64> = None, latest: f64 = 0.0, }
}

impl FreezeRule for Halved {
    const NAME: &'static str = "halved";
    const SUMMARY: &'static str = "a block freezes once its gradient norm has halved";
    type State = Norms;

    fn observe(&self, norms: &mut Norms, row: &GradientRow, _: bool) {
        norms.latest = f64::from(row.l2);
        norms.first.get_or_insert(norms.latest);
    }

    fn decide(&self, _: &FreezeContext, judged: Judged<'_, Norms>, epoch: u32) -> Vec<Change> {
        let front = judged.frozen.iter().position(|spans| !spans.is_frozen(epoch));
        let small = |norms: &Norms| norms.first.is_some_and(|first| norms.latest < self.share * first);
        let block = front.filter(|block| small(&judged.states[*block]));
        let change = |block| Change { block, frozen: true, reason: "its norm has halved".into() };
        block.map(change).into_iter().collect()
    }
}

fn main() -> std::process::ExitCode {
    spfde::app().freeze::<Halved>().main()
}
