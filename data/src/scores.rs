//! Scores as columns: the seam between the code that reads them and the dataflow that judges policies by
//! them.

use crate::Extent;
use crate::segment::Result;

/// Some presentations of samples, column by column: row `i` is what all columns have at `i`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreColumns {
    /// Epoch of each presentation.
    pub epochs: Vec<u32>,
    /// Orders the presentations within their epoch; those of one step are in the order of the rows.
    pub steps: Vec<u64>,
    /// The sample's slot: its place among all samples, from 0.
    pub slots: Vec<u32>,
    /// Whether the sample was classified correctly.
    pub correct: Vec<bool>,
    /// Loss of the sample, in nats; NaN where it is not known.
    pub losses: Vec<f32>,
    /// L2 norm of softmax − one-hot; empty if it is not known.
    pub error_norms: Vec<f32>,
    /// Whether the sample took part in the update; empty if all did.
    pub trained: Vec<bool>,
}

crate::choice! {
    /// What counts of a sample that has several rows in one epoch, by name: as of a trainer that was resumed,
    /// a sampler that pads, or a file that was copied.
    ///
    /// Steps decide, then the rows themselves: of one step a wrong answer counts before a right one, then the
    /// greater loss. So the result depends on neither the files nor the order of the rows.
    #[derive(Default)]
    pub enum Repeats {
        /// They are counted and refused.
        #[default]
        Refuse = "refuse",
        /// The row of the first step.
        First = "first",
        /// The row of the last step.
        Last = "last",
    }
}

/// Recorded scores of a number of samples over a number of epochs, in parts that can be read side by side.
///
/// Parts are numbered in the order of the first epoch that occurs in them. Presentations of one sample in one
/// step are in the order of the parts, then of the rows.
pub trait ScoreSource: Send + Sync {
    /// How many samples there are; their slots are the numbers below.
    fn samples(&self) -> u32;

    /// The sample in a slot; ascending with the slots.
    fn sample(&self, slot: u32) -> u32;

    /// How many epochs there are, from 0; one may be without scores. Of a record that goes on there may be
    /// more later.
    fn epochs(&self) -> u32;

    /// How much of them the latest [`ScoreSource::look`] found.
    fn extent(&self) -> Extent {
        Extent { epochs: self.epochs(), complete: true }
    }

    /// Looks how many epochs there are by now: never fewer than before, and no more once it was complete.
    ///
    /// # Errors
    /// If they cannot be looked at, or are not any more what they were.
    fn look(&self) -> Result<Extent> {
        Ok(self.extent())
    }

    /// The parts whose first epoch is `epoch`.
    fn parts(&self, epoch: u32) -> std::ops::Range<usize>;

    /// Reads a part from its beginning to its end and hands its rows to `visit`, some at a time. Epochs of a
    /// part lie between its first and the last of all.
    ///
    /// # Errors
    /// If the part cannot be read, or is not any more what it was.
    fn read(&self, part: usize, visit: &mut dyn FnMut(&ScoreColumns)) -> Result<()>;
}
