//! A grid over a recorded run: whole experiments in place of sieves alone.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spfde_data::rows::{CensoredRow, EpochRow};
use spfde_data::segment::{Densities, Recording};

use crate::settings::Settings;
use crate::sieve::MemberRow;

/// The members of a grid over a recorded run, and what of the run they need beside its scores.
pub struct RunMembers {
    /// The streams `gradients`, `layers`, `masks`, `sieves` and `freezes` of the run, and `similarity` if a
    /// policy reads it.
    pub recording: Arc<dyn Recording>,
    /// What decides on blocks: one for all members that have it in common.
    pub freezings: Vec<Freezing>,
    /// The members, by number.
    pub members: Vec<RunMember>,
}

/// A freeze policy with the plan that it decides by, and the masks under which it does.
pub struct Freezing {
    /// Its policy and its plan, and what else of a run counts.
    pub settings: Arc<Settings>,
    /// Whose weights are counted.
    pub densities: Densities,
}

/// A member: a sieve, a freezing, and what they cost.
pub struct RunMember {
    /// What its costs follow from.
    pub settings: Arc<Settings>,
    /// Its sieve, by its place among those of the grid.
    pub sieve: usize,
    /// Its freezing, by its place among those of the grid.
    pub freezing: usize,
}

/// A member in one epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberCosts {
    /// The member's place in the grid.
    pub member: u32,
    /// What the epoch costs; accuracies and losses are null. Of bare scores only the active samples.
    pub epoch: EpochRow,
    /// What the record lacks of it.
    pub censored: CensoredRow,
    /// Samples that entered the active set at the epoch's start, beyond the initial set.
    pub entered: u32,
    /// Those that left it.
    pub left: u32,
    /// Samples of the data set that are in or out as they were recorded.
    pub samples_as_recorded: u32,
    /// Layers that are frozen or not as they were recorded.
    pub layers_as_recorded: u16,
}

/// A member of a grid over bare scores costs nothing and has no layers.
impl From<MemberRow> for MemberCosts {
    fn from(row: MemberRow) -> Self {
        let MemberRow { epoch, member, active, entered, left, unscored, .. } = row;
        Self {
            member,
            epoch: EpochRow { epoch, active_samples: active, ..EpochRow::default() },
            censored: CensoredRow { epoch, samples: unscored, ..CensoredRow::default() },
            entered,
            left,
            ..Self::default()
        }
    }
}
