//! `spfde export`: the network of a run in the formats of other programs.

use std::path::PathBuf;

use clap::Args;
use spfde_data::counted;

use super::of_run::OfRun;
use crate::export::{Format, export};
use crate::terminal::say;
use crate::{App, Result};

/// Write the network of a run as a file for PyTorch, onnxruntime and others.
///
/// The weights are those that the run has committed last, or the best ones with --best; weights that do not
/// exist become zeros. A file that ends in .safetensors has the names and layouts of PyTorch: `resnet20`
/// those of torchvision, `lenet5` and `mlp` conv1, fc1 and so on. One that ends in .onnx is a graph that
/// takes N×C×H×W pixels as f32 from 0 to 1, normalises them, and gives the logits.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde export runs/resnet20-0-1 --out shoes.onnx  for onnxruntime
  spfde export runs/resnet20-0-1 --out shoes.safetensors
                                                   for PyTorch
  spfde export runs/resnet20-0-1 --out shoes.safetensors --sparse
                                                   indices and values of the weights that exist")]
pub(super) struct Export {
    #[command(flatten)]
    of: OfRun,
    /// The file, which ends in .safetensors or .onnx; nothing is overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write `weight.indices`, `weight.values` and `weight.shape` for layers that lack weights
    #[arg(long)]
    sparse: bool,
}

impl Export {
    /// Reads the network, and writes it.
    ///
    /// # Errors
    /// If the run has no weights, or the file cannot be written.
    pub(super) fn run(self, app: &App) -> Result<()> {
        let format = Format::of(&self.out, self.sparse)?;
        let trained = self.of.open(app)?;
        let bytes = export(&trained, &self.out, format)?;
        let (model, epochs, out) = (trained.model(), counted(trained.epoch(), "epoch"), self.out.display());
        say(format!("{model} after {epochs}, {:.1} MB: {out}", bytes as f64 / 1e6));
        Ok(())
    }
}
