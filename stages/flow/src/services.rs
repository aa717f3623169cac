//! Where a run meets the outside world.

use std::sync::Arc;

use spfde_data::{Commit, Densities, Recording, SegmentStore};

use crate::{Checkpoints, Observer, PrefixCache, Snapshot, Stop};

/// Where a run's rows go and from where it is told to stop.
#[derive(Clone)]
pub struct Services {
    /// Opens trace segments.
    pub store: Arc<dyn SegmentStore>,
    /// Makes finished epochs count.
    pub commit: Arc<dyn Commit>,
    /// Ends the run after the step in flight, if it is asked to.
    pub stop: Stop,
    /// Where checkpoints go; `None` for a run that keeps none.
    pub checkpoints: Option<Checkpoints>,
    /// The checkpoint from which the run goes on; `None` for a run from its beginning.
    pub resumed: Option<Arc<Snapshot>>,
    /// The recorded run that [`replay`](crate::replay) reads; `None` in a run that trains.
    pub recorded: Option<Recorded>,
    /// Where outputs of the frozen prefix are kept, for all workers of this process; `None`: nowhere.
    pub prefix_cache: Option<Arc<PrefixCache>>,
    /// Is shown how the run goes.
    pub observer: Arc<dyn Observer>,
}

/// A recorded run that stands in for training.
#[derive(Clone)]
pub struct Recorded {
    /// Its streams.
    pub recording: Arc<dyn Recording>,
    /// Whose weights are counted.
    pub densities: Densities,
    /// Whether the record may still go on.
    pub follows: bool,
}
