//! Analyses as dataflow: the recorded streams of runs as timely and differential collections, in code of your
//! own.
//!
//! ```no_run
//! use spfde::analysis::Runs;
//! use spfde::analysis::differential_dataflow::operators::CountTotal;
//!
//! // How many weights each layer has, epoch by epoch, as they change.
//! let runs = Runs::follow(["runs/resnet20-0-1"])?;
//! spfde::analyse(&runs, |streams| {
//!     let weights = streams.run(0).weights().map(|(layer, _)| layer).count_total();
//!     streams.each_epoch(weights, |epoch, changes| {
//!         for ((layer, weights), change) in changes {
//!             println!("{epoch} {layer} {weights} {change:+}");
//!         }
//!     });
//! })?;
//! # Ok::<(), spfde::Error>(())
//! ```
//!
//! Only manifests and Parquet are read: of a run that goes on, that was interrupted, or that was made
//! elsewhere, what is committed. A run that is followed is read as its epochs are committed, until it is
//! finished, or no process holds it. [`View`] has those that `spfde analyse` shows.

mod labels;
mod runs;
mod views;

pub use differential_dataflow;
pub use labels::Labels;
pub use runs::{Runs, analyse};
pub use spfde_flow::analysis::{Changing, Streams, StreamsOf};
pub use timely;
pub use views::{Change, VIEWS, View};
