//! A rule whose weights come and go in blocks.

use spfde_data::architecture::Architecture;
use spfde_data::parameter::ParameterError;

use super::{apply, decide, update, values};
use crate::mask::granularity::Granularity;
use crate::mask::selection::{absent_by_draw, magnitudes};
use crate::mask::{
    Distribution, MaskContext, MaskDelta, MaskRule, MaskUpdate, Moment, Schedule, Targets, policy,
};
use crate::{Spans, example};

/// Runs of four weights, ranked by their greatest key.
struct Quads;

impl Granularity for Quads {
    fn lowest(&self, keyed: &mut dyn Iterator<Item = (u64, u32)>, count: usize) -> Vec<u32> {
        let mut keyed: Vec<(u64, u32)> = keyed.collect();
        keyed.sort_by_key(|(_, index)| *index);
        let mut units: Vec<&[(u64, u32)]> = keyed.chunk_by(|left, right| left.1 / 4 == right.1 / 4).collect();
        units.sort_by_key(|unit| unit.iter().map(|(key, _)| *key).max());
        let mut chosen: Vec<u32> =
            units.iter().take(count / 4).flat_map(|unit| unit.iter().map(|(_, i)| *i)).collect();
        chosen.sort_unstable();
        chosen
    }
}

spfde_data::parameters! {
    /// Exchanges two blocks at every update.
    struct Blocks in "mask" {}
}

impl MaskRule for Blocks {
    const NAME: &'static str = "blocks";
    const SUMMARY: &'static str = "weights come and go in blocks";
    type State = ();

    fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
        Targets::new(architecture, Distribution::Uniform, 0.7)
    }

    fn schedule(&self, epochs: u32) -> Schedule {
        Schedule::every(1, epochs)
    }

    fn count(&self, moment: &Moment) -> u32 {
        moment.target() / 4 * 4
    }

    fn granularity(&self) -> &dyn Granularity {
        &Quads
    }

    fn update(&self, update: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        let units = self.granularity();
        MaskDelta {
            dropped: units.lowest(&mut magnitudes(update).into_iter(), 8),
            grown: units.lowest(&mut absent_by_draw(update), 8),
        }
    }
}

#[test]
fn weights_of_a_block_exist_together_or_not_at_all() {
    let context = MaskContext { seed: 7, epochs: 9, architecture: example::perceptron(&[12, 12, 4]) };
    let policy = policy(Blocks {}, &context).unwrap();
    let whole = |mask: &[u32]| mask.chunks(4).all(|unit| unit[0] % 4 == 0 && unit[3] == unit[0] + 3);
    let mut mask = policy.initial(0, &Spans::never());
    // Three tenths of 144 weights are 43, ten blocks and three quarters of one.
    assert!(mask.len() == 40 && whole(&mask), "{mask:?}");
    for epoch in 1..9 {
        let values = values(7, epoch, &mask);
        let delta = decide(&*policy, &update(&*policy, 0, epoch, &mask, &values));
        assert_eq!((delta.dropped.len(), delta.grown.len()), (8, 8));
        mask = apply(&mask, &delta, 144, false);
        assert!(mask.len() == 40 && whole(&mask), "{mask:?}");
    }
    // Two blocks too many: a freeze drops two.
    let many: Vec<u32> = (0..48).collect();
    let values = values(7, 3, &many);
    let delta = decide(&*policy, &MaskUpdate { freezing: true, ..update(&*policy, 0, 3, &many, &values) });
    let mask = apply(&many, &delta, 144, false);
    assert!(mask.len() == 40 && whole(&mask), "{mask:?}");
}
