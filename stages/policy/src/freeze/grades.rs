//! `grades`: a layer stops whose gradient has become small, and a block once all its layers have (GradES,
//! [arXiv 2509.01842](https://arxiv.org/abs/2509.01842), algorithm 1).
//!
//! After a grace period each layer is judged at the end of every interval: once the mean of its measure is
//! below the threshold it has stopped, for good. What is measured, per existing weight, is published in three
//! variants: the L1 norm of the gradient of a step; its change from the step before, of which the record has
//! the difference of the norms, not the norm of the difference; or how far the weights have moved in an
//! epoch.
//!
//! The paper stops every matrix on its own. Here a block freezes once all its layers have stopped, as there
//! wherever it is: behind one that trains it hands the gradient on.
//!
//! ```
//! use spfde_policy::freeze::{self, FreezeContext, Grades};
//! let architecture = spfde_policy::example::perceptron(&[784, 1024, 10]);
//! let context = FreezeContext::new(8, architecture);
//! let policy = freeze::policy(Grades { grace_period: 0.25, ..Grades::default() }, &context)?;
//! assert!(policy.may_freeze(2) && !policy.may_freeze(1));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::{GradientRow, LayerRow};

use super::{BlockState, Change, FreezeContext, FreezeRule, Judged};

spfde_data::choice! {
    /// What is measured of a layer.
    pub enum Measure {
        /// The norm of the gradient of a step.
        Gradient = "gradient",
        /// How much that changes from step to step.
        Change = "change",
        /// How far the weights move in an epoch.
        WeightChange = "weight-change",
    }
}

spfde_data::parameters! {
    /// A block freezes once the gradients of all its layers have become small.
    pub struct Grades in "freeze" {
        /// what is measured of a layer, per existing weight
        pub measure: Measure = Measure::Gradient, ..;
        /// measure below which a layer stops
        pub threshold: f64 = 1e-4, 0.0..=1e9;
        /// share of the run in which nothing freezes
        pub grace_period: f64 = 0.5, 0.0..=1.0;
        /// epochs between two judgements
        pub interval: u32 = 1, 1..;
        /// whether a block freezes wherever it is; otherwise it also waits for all blocks in front
        pub anywhere: bool = true, ..;
    }
}

spfde_data::state! {
    /// A layer of a block.
    pub struct Watched {
        /// Its number.
        layer: u32 = 0,
        /// The norm at the last step.
        previous: Option<f64> = None,
        /// Sum of the measures since the last judgement.
        sum: f64 = 0.0,
        /// How many there are.
        count: u32 = 0,
        /// 1 once it has stopped.
        stopped: u32 = 0,
    }
}

/// The layers of a block that have been seen, in order of their numbers.
#[derive(Clone, Default)]
pub struct Layers(Vec<Watched>);

impl BlockState for Layers {
    type Row = Watched;

    fn rows(&self) -> Vec<Watched> {
        self.0.clone()
    }

    fn from_rows(rows: Vec<Watched>) -> Self {
        Self(rows)
    }
}

impl Layers {
    /// The layer of this number.
    fn of(&mut self, layer: u16) -> &mut Watched {
        let layer = u32::from(layer);
        let at = self.0.partition_point(|known| known.layer < layer);
        if self.0.get(at).is_none_or(|known| known.layer != layer) {
            self.0.insert(at, Watched { layer, ..Watched::default() });
        }
        &mut self.0[at]
    }

    /// Judges each layer that still goes on; the greatest mean of these.
    fn close(&mut self, threshold: f64, judges: bool) -> Option<f64> {
        let judge = |layer: &mut Watched| {
            let mean = layer.sum / f64::from(layer.count);
            let going = judges && layer.stopped == 0 && layer.count > 0;
            layer.stopped |= u32::from(going && mean < threshold);
            (layer.sum, layer.count) = (0.0, 0);
            going.then_some(mean)
        };
        // All of them, before the greatest is taken.
        let means: Vec<f64> = self.0.iter_mut().filter_map(judge).collect();
        means.into_iter().reduce(f64::max)
    }
}

impl Watched {
    /// Adds a measure per existing weight.
    fn add(&mut self, measure: f64, nonzero: u32) {
        self.sum += measure / f64::from(nonzero.max(1));
        self.count += 1;
    }
}

impl FreezeRule for Grades {
    const NAME: &'static str = "grades";
    const SUMMARY: &'static str = "freezes a block once the gradients of all its layers have become small";
    type State = Layers;

    fn reads_layers(&self) -> bool {
        self.measure == Measure::WeightChange
    }

    fn may_freeze(&self, run: &FreezeContext, epoch: u32) -> bool {
        epoch.is_multiple_of(self.interval) && f64::from(epoch) >= self.grace_period * f64::from(run.epochs)
    }

    fn observe(&self, block: &mut Layers, row: &GradientRow, frozen: bool) {
        if frozen || self.measure == Measure::WeightChange {
            return;
        }
        let (layer, norm) = (block.of(row.layer), f64::from(row.l1));
        match (self.measure, layer.previous.replace(norm)) {
            (Measure::Change, Some(previous)) => layer.add((norm - previous).abs(), row.nonzero),
            (Measure::Change, None) => (),
            _ => layer.add(norm, row.nonzero),
        }
    }

    fn observe_layer(&self, block: &mut Layers, row: &LayerRow) {
        if self.measure == Measure::WeightChange {
            block.of(row.layer).add(row.weight_change_l1, row.nonzero);
        }
    }

    fn decide(&self, run: &FreezeContext, mut judged: Judged<'_, Layers>, epoch: u32) -> Vec<Change> {
        if !epoch.is_multiple_of(self.interval) {
            return Vec::new();
        }
        let judges = self.may_freeze(run, epoch);
        let means: Vec<Option<f64>> =
            judged.states.iter_mut().map(|block| block.close(self.threshold, judges)).collect();
        let window = epoch / self.interval - 1;
        let left = if judges { judged.budget_left(1.0) } else { 1.0 };
        let first = if self.anywhere { 0 } else { judged.prefix(epoch) };
        for (block, mean) in means.iter().enumerate().skip(first) {
            if let Some(mean) = mean {
                judged.judge(epoch, block, [*mean, self.threshold], window, left);
            }
        }
        let architecture = &run.architecture;
        let has_stopped = |block: &usize| {
            let layers = &judged.states[*block].0;
            let stopped = layers.iter().filter(|layer| layer.stopped > 0).count();
            let trains = !judged.frozen[*block].is_frozen(epoch);
            judges && trains && stopped == architecture.layers_of(*block).count()
        };
        let reason = format!("all layers have been below {}", self.threshold);
        let freeze = |block| Change { block, frozen: true, reason: reason.clone() };
        let blocks = first..judged.states.len();
        match self.anywhere {
            true => blocks.filter(has_stopped).map(freeze).collect(),
            false => blocks.take_while(has_stopped).map(freeze).collect(),
        }
    }
}
