//! Plain row types of `spfde`, shared by every crate above; behind the feature `files` all that touches
//! bytes.
//!
//! Without features this crate is a vocabulary: images, the shape of a network, the rows of the trace, the
//! parameters and states of policies, keyed random draws. It reads no file and knows no Parquet.
//!
//! | to declare | there is |
//! |---|---|
//! | a table of the trace | [`row!`]: a struct whose fields are the columns |
//! | the parameters of a policy | [`parameters!`]: a struct whose fields are the keys of a configuration |
//! | one of several names as a parameter | [`choice!`] |
//! | what a policy keeps of a sample, layer or block | [`state!`]: a struct whose fields are saved |
//!
//! What other crates name stands at the root, each thing documented in its module.
//!
//! With `files` (on by default) the module `files` reads and writes data sets, segments of the trace,
//! manifests and checkpoints. `files::layout` has every name in a run directory; `guide` has pages for users.
//! Parquet from elsewhere is opened by the crate `spfde-parquet-guard`, which bounds what a file can make the
//! reader allocate.
#![forbid(unsafe_code)]

pub mod architecture;
pub mod augment;
#[cfg(feature = "files")]
pub mod files;
mod frozen;
#[cfg(feature = "files")]
pub mod guide;
pub mod images;
pub mod nowhere;
mod order;
pub mod parameter;
pub mod random;
mod row;
pub mod rows;
pub mod scores;
pub mod segment;
pub mod table;
pub mod tensor;
mod validation;
pub mod words;

pub use architecture::{Architecture, LayerKind, LayerShape};
pub use augment::{Augment, Augmentation, Hole, Placement};
pub use frozen::FrozenBlocks;
pub use images::{DataSet, Images, Normalization, PixelStore, Pixels, Stored};
pub use nowhere::Nowhere;
pub use order::Order;
pub use parameter::{Parameter, ParameterError, Parameters, Parametric, Setting, Value, nearest};
pub use random::{Purpose, draw, mix, seed_bytes, shuffled};
pub use rows::{
    CensoredRow, CostRow, EndingRow, EpochRow, FreezeEvidenceRow, FreezeRow, GradientRow, LayerRow, MaskRow,
    MaskUpdateRow, PredictionRow, ScoreRow, SieveRow, SimilarityRow, TimingRow,
};
pub use scores::{Repeats, ScoreColumns, ScoreSource};
pub use segment::{
    Checkpoint, Commit, CompleteEpoch, Densities, Extent, RecordedSegment, Recording, RecordingError,
    Scratch, Segment, SegmentStore, SegmentWriter, StorageError, Writer,
};
pub use table::{Cell, Cells, Column, ColumnType, Columns, Record, Row};
pub use tensor::{Tensor, TensorData};
pub use words::{are, counted, visible};

// The macro `row!` names this crate and serde by path, inside this crate and out of it.
extern crate self as spfde_data;
#[doc(hidden)]
pub use serde;
