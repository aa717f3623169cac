//! The guide: pages for users, from the first run to several machines.
//!
//! | page | for those who want to |
//! |---|---|
//! | [`first_run`] | train, and understand what is printed |
//! | [your own data](spfde_data::guide::data_sets) | train on other images |
//! | [`networks`] | choose a network, or describe one in a file |
//! | [`masks`] | choose which weights exist, when that changes, and in which units |
//! | [`sieving`] | choose which samples train, and see what each rule removes |
//! | [`prefix_cache`] | train faster behind frozen blocks |
//! | [`freezing`] | choose when blocks of layers stop training, and by what |
//! | [`own_code`] | write a policy, a stage, a network or a data set in Rust |
//! | [`trace`] | analyse a run: a page that shows it, every table, every column |
//! | [`analysis`] | compare runs, train many, watch one, or analyse what was recorded |
//! | [`recipes`] | ask a trace, with DuckDB, polars or pandas |
//! | [`replay`] | ask what other policies would have decided and cost |
//! | [`resume`] | go on with a run that was interrupted; read its checkpoints |
//! | [`trained_networks`] | predict with a trained network, evaluate it, export it, begin with its weights |
//! | [`several_machines`] | train with several processes, on one machine or several |
//! | [`hostile_files`] | know what happens with files that are damaged or forged |
//! | [`performance`] | know what a step takes, and where |
//! | [`results`] | know what whole runs reach and cost, side by side |

// On a web page of the repository a link goes to the file that the page names, here to the module.
macro_rules! page {
    ($name:ident, $text:literal) => {
        /// [first run]: crate::guide::first_run
        /// [your own data]: spfde_data::guide::data_sets
        /// [networks]: crate::guide::networks
        /// [masks]: crate::guide::masks
        /// [sieves]: crate::guide::sieving
        /// [the cache of the frozen prefix]: crate::guide::prefix_cache
        /// [freezing]: crate::guide::freezing
        /// [your own code]: crate::guide::own_code
        /// [reading a trace]: crate::guide::trace
        /// [compare, sweep, watch, analyse]: crate::guide::analysis
        /// [recipes]: crate::guide::recipes
        /// [replay and grids]: crate::guide::replay
        /// [resume and checkpoints]: crate::guide::resume
        /// [trained networks]: crate::guide::trained_networks
        /// [several machines]: crate::guide::several_machines
        /// [damaged and hostile files]: crate::guide::hostile_files
        /// [performance]: crate::guide::performance
        /// [results]: crate::guide::results
        /// [how it is built]: crate::how_it_is_built
        #[doc = ""]
        #[doc = include_str!($text)]
        pub mod $name {}
    };
}

page!(first_run, "guide/first_run.md");
page!(networks, "guide/networks.md");
page!(masks, "guide/masks.md");
page!(sieving, "guide/sieving.md");
page!(prefix_cache, "guide/prefix_cache.md");
page!(freezing, "guide/freezing.md");
page!(own_code, "guide/own_code.md");
page!(trace, "guide/trace.md");
page!(analysis, "guide/analysis.md");
page!(recipes, "guide/recipes.md");
page!(replay, "guide/replay.md");
page!(resume, "guide/resume.md");
page!(trained_networks, "guide/trained_networks.md");
page!(several_machines, "guide/several_machines.md");
page!(hostile_files, "guide/hostile_files.md");
page!(performance, "guide/performance.md");
page!(results, "guide/results.md");
