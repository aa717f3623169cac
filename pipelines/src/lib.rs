//! `spfde` trains sparse neural networks cheaply on ordinary CPUs, and keeps every decision it took as data.
//!
//! It implements SpFDE (Layer Freezing & Data Sieving, arXiv 2209.11204): the cost of training falls along
//! three axes that multiply. Weights are sparse with dynamic masks, and a weight that is masked is stored
//! nowhere; layers freeze, and a frozen prefix has no backward pass; the data set is sieved
//! while training, and a sample that is out is not computed.
//!
//! | to | there is |
//! |---|---|
//! | write a program of your own: policies, networks, data sets, stages | [`app()`] |
//! | wire the graph yourself | [`App::pipeline`]; [`pipeline()`] is the ready one |
//! | run an experiment from Rust | [`Experiment`], [`run()`], [`resume()`], [`replay()`], [`grid`] |
//! | learn how to use it, page by page | [`guide`] |
//! | make a page about runs | [`page`] |
//! | read about the floors of the house, and where something new goes | [`how_it_is_built`] |
//!
//! Training is a cyclic dataflow graph of stages; its streams are Parquet tables. Every program made by
//! [`app()`] has the command line that the guide shows.
#![forbid(unsafe_code)]

mod agreement;
pub mod analysis;
mod app;
pub mod bench;
mod checkpoint;
pub mod cluster;
mod command;
pub mod compare;
pub mod configuration;
mod data;
mod environment;
mod error;
mod experiment;
pub mod export;
mod graph;
pub mod grid;
pub mod guide;
pub mod how_it_is_built;
mod idle;
mod layers;
mod memory;
pub mod page;
mod pipeline;
mod pytorch;
pub mod registry;
pub mod replay;
pub mod report;
mod resume;
mod seams;
mod session;
mod small_file;
mod start;
pub mod sweep;
mod terminal;
pub mod trained;
pub mod verify;
pub mod watch;
mod workers;

pub use analysis::analyse;
pub use app::{App, app};
pub use configuration::{Configuration, Source};
pub use error::{Error, Reached, Result, Why};
pub use experiment::{Experiment, Prepare};
pub use pipeline::{Build, pipeline, wire};
pub use registry::{Entry, Registry};
pub use replay::{Record, Replayed, replay};
pub use resume::{Resumed, Unfinished, resume};
pub use session::{Options, run};

/// What a pipeline of your own usually needs.
pub mod prelude {
    pub use crate::{Configuration, Error, Experiment, Options, Record};
    pub use spfde_data::files::data_set::assemble;
    pub use spfde_model::{Logits, Loss, NetworkBuilder, Optimiser, Perturbation, Precision};
    pub use timely::dataflow::StreamVec;
    // `row!` names this crate by path.
    pub use spfde_data::{self, choice, parameters, row, state};
    pub use spfde_data::{Column, Columns, DataSet, Images, ParameterError, Purpose, Row, draw, rows::*};
    pub use spfde_flow::{
        Flow, GradientTransform, Run, Seams, Tick, Trained, freeze, load, mask, per_epoch, replay, sieve,
        train,
    };
    pub use spfde_policy::freeze::{Change, FreezeContext, FreezePlan, FreezeRule, Judged};
    pub use spfde_policy::mask::{
        Distribution, MaskDelta, MaskRule, MaskUpdate, Moment, Needs, Schedule, Targets, selection,
    };
    pub use spfde_policy::sieve::{Cut, Decision, Rank, SieveContext, SieveRule};
    pub use spfde_policy::{Cost, Costs, LearningRate, Plan, Spans, share_of};
}
