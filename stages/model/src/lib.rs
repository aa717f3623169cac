//! The model shards of `spfde`: layers, kernels, masked weights and the optimiser.
//!
//! A [`Network`] is one replica of a model: masked and dense weights, batch norms, momenta. It knows no
//! dataflow, no files and no threads. A training step is made of calls that a caller arranges as it likes:
//!
//! 1. [`Network::train_shard`] computes what one [`Shard`] of a mini-batch, a *micro-batch*, adds to the
//!    gradient, as a flat *part*;
//! 2. the caller adds the parts of all shards (in an order that it fixes) and tests the sum with
//!    [`Network::check`];
//! 3. [`Network::update`] applies the sum: running statistics of the batch norms and a step of the
//!    [`Optimiser`].
//!
//! A shard's own statistics make its batch norm a *ghost batch norm*; the running statistics follow the mean
//! over all shards.
//!
//! [`NetworkBuilder`] puts networks together from the known operations, and checks their shapes; [`models`]
//! has those with a name. Later methods plug in at the seams of a step: [`Perturbation`] of inputs,
//! [`Precision`] of a layer's forward and backward pass, [`Loss`], [`Optimiser`]. A seam that is empty costs
//! nothing.
//!
//! Every replica that starts from the same seed and sees the same sums keeps the same bits.
//!
//! Weights outside a mask are stored nowhere and cost nothing: a layer keeps the ascending indices of the
//! weights that exist, their values and their momenta. Kernels gather, for each output channel, the inputs
//! its existing weights point at, for a group of samples and several pixels at a time; see
//! [`Activations`] for the layout.
//!
//! ```
//! use spfde_data::architecture::LayerKind;
//! use spfde_model::{Activations, Description, Growth, InputShape, Kernel, Shard};
//! use spfde_model::{MomentumSgd, Network, Workspace};
//!
//! let shape = InputShape { channels: 1, height: 12, width: 12 };
//! let description = Description::build(shape, 10, |net| {
//!     net.convolution(6, 5).relu();
//!     let x = net.block().convolution(16, 5).relu();
//!     net.classifier(net.max_pool(x))
//! })?;
//! let mut network = Network::from_description(description, 7, Kernel::resolve("auto")?);
//! assert_eq!(network.architecture().layers[1].kind, LayerKind::Convolution);
//!
//! // The second convolution keeps a tenth of its weights.
//! let kept: Vec<u32> = (0..network.indices(1).len() as u32).step_by(10).collect();
//! network.mask(1, 0.1);
//! network.apply_mask(1, &[], &kept, Growth::Initial);
//!
//! // Three samples in the first three lanes of one group.
//! let inputs = Activations::from_elem((1, 12, 1, 12, network.kernel().lanes()), 0.5);
//! let (labels, weights) = (&[3, 1, 4], &[1.0; 3]);
//! let shard = Shard { inputs: &inputs, labels, weights, noise: &[], batch_samples: 3 };
//! let mut workspace = Workspace::new(&network);
//! let mut part = vec![0.0; network.part_len()];
//! let scores = network.train_shard(&mut workspace, &shard, &mut part);
//! network.check(&part)?;
//! let optimiser = MomentumSgd { momentum: 0.9, weight_decay: 1e-4, nesterov: false };
//! network.update(&part, &vec![0.1; network.architecture().blocks.len() + 1], &optimiser);
//! assert_eq!(scores.len(), 3);
//! assert_eq!(network.nonzero(1), kept.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(unsafe_code)]

mod description;
mod entries;
pub mod input;
mod kernel;
mod lane;
mod layer;
mod loss;
mod memory;
pub mod models;
mod network;
mod operation;
mod optimiser;
mod perturbation;
mod precision;
mod schedule;
mod shard;
mod storage;
mod tensor;
#[cfg(test)]
mod tests;
mod traffic;
mod weights;
mod workspace;

pub use description::{BuildError, Description, InputShape, Logits, NetworkBuilder, Node};
pub use entries::{Entries, Packing};
pub use kernel::{Form, Kernel};
pub use lane::Activations;
pub use loss::{CrossEntropy, Loss, SmoothedCrossEntropy};
pub use network::{DENSE_MOMENTA, LayerStart, Network, NonFinite, REWOUND, STORED, is_beside};
pub use optimiser::{AdamW, MomentumSgd, Optimiser, State};
pub use perturbation::Perturbation;
pub use precision::Precision;
pub use shard::{Evaluation, Extra, Score, Shard, Sums, Wanted};
pub use spfde_data::tensor::{Tensor, TensorData};
pub use storage::Storage;
pub use tensor::RestoreError;
pub use weights::Growth;
pub use workspace::Workspace;
