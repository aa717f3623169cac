//! `spfde evaluate`: how right a trained network is, class by class.

use clap::Args;

use super::of_run::OfRun;
use crate::report::evaluation::{evaluation_json, evaluation_text};
use crate::terminal::{Style, say_all, say_json, set_style};
use crate::{App, Result};

/// Evaluate the network of a run on the test images of its data set, or of another.
///
/// Prints accuracy and precision of each class, the confusion matrix, and the expected calibration error:
/// how far the probabilities of predicted classes are from the share of images that is right, in 15 bins.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde evaluate runs/resnet20-0-1                 the data set that the run was trained on
  spfde evaluate runs/resnet20-0-1 --data other --json
                                                   another data set, for programs
  spfde evaluate runs/resnet20-0-1 --best          the best epoch on the validation set")]
pub(super) struct Evaluate {
    #[command(flatten)]
    of: OfRun,
    /// Another data set with labels, by its name or directory; its test images count
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    /// Evaluates and prints.
    ///
    /// # Errors
    /// If the run has no weights, or the data cannot be read or does not fit.
    pub(super) fn run(self, app: &App) -> Result<()> {
        if self.json {
            set_style(Style::Json);
        }
        let trained = self.of.open(app)?;
        let (set, normalization) = match &self.data {
            Some(path) => (trained.data_at(path)?, trained.normalization()?),
            None => {
                let set = trained.data()?;
                let normalization = set.normalization.clone();
                (set, normalization)
            }
        };
        let evaluation = trained.evaluate(&set.test, &normalization)?;
        let labels = trained.labels();
        say_all(evaluation_text(&set.name, &evaluation, &labels));
        say_json(|| evaluation_json(&set.name, &evaluation, &labels));
        Ok(())
    }
}
