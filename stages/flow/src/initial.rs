//! The masks with which a run begins.

use std::sync::Arc;

use spfde_data::MaskRow;
use spfde_model::{Growth, Network};
use spfde_policy::MaskPolicy;

use crate::start::carried;
use crate::untrained::Fresh;
use crate::{Run, Settings};

impl Settings {
    /// The weights of a masked layer that exist at the first step, ascending: drawn by the mask policy, or
    /// as many that are taken over.
    pub(crate) fn initial_mask(&self, layer: usize) -> Vec<u32> {
        let mask = &self.policies.mask;
        let start = self.start.as_ref().map(|start| &start[layer]);
        if let Some((start, taken)) = start.and_then(|start| Some((start, start.mask.as_ref()?)))
            && mask.masked(layer)
        {
            if self.keeps_masks() {
                return taken.clone();
            }
            let count = mask.nonzero(layer, 0, self.plan.spans(layer)) as usize;
            let weights = self.plan.architecture.layers[layer].weights() as u32;
            return carried(taken, &start.values, (self.seed, layer), weights, count);
        }
        // A dense network takes its room.
        let choose = || mask.chooses().then(|| mask.choose(&mut Fresh::new(self))).flatten();
        match self.chosen.get_or_init(choose) {
            Some(masks) => masks[layer].clone(),
            None => mask.initial(layer, self.plan.spans(layer)),
        }
    }

    /// Whether masks that are taken over stay as they are: where densities depend on data, if all layers
    /// together have as many weights as they are to have.
    fn keeps_masks(&self) -> bool {
        let mask = &self.policies.mask;
        let layers = self.start.iter().flat_map(|start| start.iter()).enumerate();
        let masked = layers.filter(|(layer, _)| mask.masked(*layer));
        let counts = masked.map(|(layer, start)| {
            (start.mask.as_ref().map_or(0, Vec::len) as u64, u64::from(mask.target(layer)))
        });
        let (taken, wanted) = counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        !mask.is_scheduled() && taken == wanted
    }

    /// A network before the initial masks are grown. Under a mask that is chosen, weights keep the values by
    /// which they were: the chosen ones are large already.
    pub(crate) fn empty_network(&self) -> Network {
        if !self.policies.mask.chooses() {
            return self.masked_network();
        }
        let layers = self.plan.architecture.layers.iter();
        self.network_for(&layers.map(|layer| layer.weights() as u32).collect::<Vec<u32>>())
    }

    /// A network as the first step of a run finds it: initial weights under the initial masks, and the blocks
    /// frozen that the plan freezes from the start. For profiles.
    pub fn initial_network(&self) -> Network {
        let mut network = self.empty_network();
        let mask = &self.policies.mask;
        for layer in (0..network.architecture().layers.len()).filter(|layer| mask.masked(*layer)) {
            network.apply_mask(layer, &[], &self.initial_mask(layer), Growth::Initial);
        }
        self.begin(&mut network);
        network.freeze(self.plan.frozen_blocks(0));
        network
    }
}

/// The initial masks of the layers for which this worker decides, as deltas at `(0, 0)`, drawn layer by
/// layer; the decisions on their way if the run goes on.
pub(crate) fn initial(run: &Run<'_>) -> Box<dyn Iterator<Item = MaskRow>> {
    let settings = Arc::clone(run.settings());
    let (decider, worker) = (decider(run, &settings.policies.mask), run.worker());
    let mine = move |layer: usize| decider(layer) == worker;
    if let Some(snapshot) = run.resumed() {
        let rows = snapshot.rows::<MaskRow>().into_iter();
        return Box::new(rows.filter(move |row| mine(usize::from(row.layer))));
    }
    let layers = 0..settings.plan.architecture.layers.len();
    Box::new(layers.filter(move |layer| mine(*layer)).flat_map(move |layer| {
        let indices = settings.initial_mask(layer);
        let row = move |index| MaskRow { epoch: 0, step: 0, layer: layer as u16, index, diff: 1 };
        indices.into_iter().map(row)
    }))
}

/// The worker that decides for a layer, and writes its rows: its owner, or worker 0 where layers exchange
/// weights.
pub(crate) fn decider(
    run: &Run<'_>,
    policy: &Arc<dyn MaskPolicy>,
) -> impl Fn(usize) -> usize + Clone + 'static {
    let (owner, together) = (run.owners(), policy.redistributes());
    move |layer| if together { 0 } else { owner(layer) }
}
