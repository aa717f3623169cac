//! The guide: pages for users, from the first run to several machines.
//!
//! | page | for those who want to |
//! |---|---|
//! | [`first_run`] | train, and understand what is printed |
//! | [your own data](spfde_data::guide::data_sets) | train on other images |
//! | [`own_code`] | write a policy, a stage, a network or a data set in Rust |
//! | [`trace`] | analyse a run: every table, every column, recipes for DuckDB, polars and pandas |
//! | [`replay`] | ask what other policies would have decided and cost |
//! | [`resume`] | go on with a run that was interrupted; use its weights elsewhere |
//! | [`several_machines`] | train with several processes, on one machine or several |
//! | [`hostile_files`] | know what happens with files that are damaged or forged |
//! | [`performance`] | know what a step takes, and where |

// On a web page of the repository a link goes to the file that the page names, here to the module.
macro_rules! page {
    ($name:ident, $text:literal) => {
        /// [first run]: crate::guide::first_run
        /// [your own data]: spfde_data::guide::data_sets
        /// [your own code]: crate::guide::own_code
        /// [reading a trace]: crate::guide::trace
        /// [replay and grids]: crate::guide::replay
        /// [resume and checkpoints]: crate::guide::resume
        /// [several machines]: crate::guide::several_machines
        /// [damaged and hostile files]: crate::guide::hostile_files
        /// [performance]: crate::guide::performance
        /// [how it is built]: crate::how_it_is_built
        #[doc = ""]
        #[doc = include_str!($text)]
        pub mod $name {}
    };
}

page!(first_run, "guide/first_run.md");
page!(own_code, "guide/own_code.md");
page!(trace, "guide/trace.md");
page!(replay, "guide/replay.md");
page!(resume, "guide/resume.md");
page!(several_machines, "guide/several_machines.md");
page!(hostile_files, "guide/hostile_files.md");
page!(performance, "guide/performance.md");
