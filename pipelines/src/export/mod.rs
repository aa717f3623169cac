//! A trained network in the formats of other programs.

mod composed;
mod onnx;
mod protobuf;
mod state_dict;

use std::path::Path;

use spfde_data::files::atomic;
use spfde_data::files::weights;

use crate::trained::TrainedNetwork;
use crate::{Error, Result};

/// The formats, by the ending of a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Arrays by the names and in the layouts of PyTorch.
    Safetensors {
        /// Whether layers that lack weights have the indices and values of those that exist, rather than
        /// zeros.
        sparse: bool,
    },
    /// A graph, from pixels of 0 to 1 to logits.
    Onnx,
}

impl Format {
    /// The format of the file `path`, `sparse` where that is asked for.
    ///
    /// # Errors
    /// If its name ends in neither `.safetensors` nor `.onnx`, or the format cannot be sparse.
    pub fn of(path: &Path, sparse: bool) -> Result<Self> {
        let refused = |what: &str| Err(Error::usage(format!("--out {}: {what}", path.display())));
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("safetensors") => Ok(Self::Safetensors { sparse }),
            Some("onnx") if sparse => refused("an ONNX graph is dense; leave --sparse out"),
            Some("onnx") => Ok(Self::Onnx),
            _ => refused("its name has to end in .safetensors or .onnx"),
        }
    }
}

/// Writes the network to the file `path`, whole or not at all; its bytes. Weights that do not exist are zeros
/// there, unless the format is sparse.
///
/// # Errors
/// If something has that name, the file cannot be written, or the format cannot express the network.
pub fn export(trained: &TrainedNetwork, path: &Path, format: Format) -> Result<u64> {
    atomic::refuse_existing(path)?;
    let bytes = match format {
        Format::Safetensors { sparse } => {
            let arrays = state_dict::arrays(trained.network(), sparse);
            weights::encode(&arrays, &state_dict::metadata(trained)?)
        }
        Format::Onnx => onnx::encode(trained)?,
    };
    atomic::write(path, &bytes)?;
    Ok(bytes.len() as u64)
}
