//! How the network does on samples it does not train on.

use crate::description::Reach;
use crate::network::Network;
use crate::operation::loss;
use crate::shard::{Evaluation, Shard};
use crate::workspace::Workspace;

impl Network {
    /// Scores a shard with the running statistics of all batch norms; weights in the loss and `batch_samples` do not
    /// matter.
    ///
    /// # Panics
    /// If the shard's inputs have another shape than the network's or too few lanes, or a label is no class.
    pub fn evaluate(&self, workspace: &mut Workspace, shard: &Shard<'_>) -> Evaluation {
        // No block measures, not even the classifier's.
        let frozen = self.architecture().blocks.len() + 1;
        let mut evaluation = Evaluation::default();
        let reach = Reach::Block(frozen);
        let Some(mut pass) = self.pass(workspace, shard, &self.evaluating, frozen, reach) else {
            return evaluation;
        };
        self.run_forward(&mut pass);
        loss::score(&pass, shard.labels, |score| {
            evaluation.loss += f64::from(score.loss);
            evaluation.correct += u32::from(score.correct);
        });
        evaluation
    }
}
