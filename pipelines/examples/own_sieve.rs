//! A sieve with keys of its own: samples of the lowest loss leave.
//!
//! `cargo run --release --example own_sieve -- train model.name=mlp sieve.policy=lowest-loss
//! sieve.fraction=0.2`
use spfde::prelude::*;

parameters! {
    /// The samples with the lowest latest loss are out.
    pub struct LowestLoss in "sieve" {
        /// share of the samples that is out of training
        pub fraction: f64 = 0.1, 0.0..1.0;
    }
}
state! {
    /// The latest loss of a sample.
    pub struct Latest { loss: f32 = f32::INFINITY, }
}
impl SieveRule for LowestLoss {
    const NAME: &'static str = "lowest-loss";
    const SUMMARY: &'static str = "the samples with the lowest latest loss are out";
    type State = Latest;
    fn active_samples(&self, run: &SieveContext, epoch: u32) -> u32 {
        if epoch == 0 { run.samples } else { run.samples - share_of(self.fraction, run.samples) }
    }
    fn decides(&self, _: &SieveContext, _: u32) -> bool {
        true
    }
    fn decision(&self, run: &SieveContext, epoch: u32) -> Decision {
        Cut::Outside { out: run.samples - self.active_samples(run, epoch) }.into()
    }
    fn observe(&self, state: &mut Latest, score: &ScoreRow) {
        state.loss = score.loss;
    }
    fn key(&self, state: &Latest) -> u32 {
        state.loss.to_bits() // bits of numbers that are not negative are in the order of the numbers
    }
}

fn main() -> std::process::ExitCode {
    spfde::app().sieve::<LowestLoss>().main()
}
