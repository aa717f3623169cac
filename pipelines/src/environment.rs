//! What a run begins with, and what `environment.json` says of the machine and the program.

use std::path::PathBuf;

use spfde_data::files::Manifest;
use spfde_data::files::run_directory::Beginning;

use crate::Experiment;

/// What the directory of a run has before anything is committed. That of a replay has the network, too: what
/// is judged by the directory alone needs no program that knows the model.
pub(crate) fn beginning(experiment: &Experiment, workers: usize, processes: usize) -> Beginning {
    let (configuration, settings) = (experiment.configuration(), experiment.settings());
    let manifest = Manifest::new(&settings.data, settings.epochs);
    Beginning {
        config: configuration.to_toml(),
        architecture: Some(settings.network.to_json()),
        start: experiment.start.as_ref().map(|start| start.file.clone()),
        environment: environment(experiment, workers, processes),
        manifest: Manifest {
            settings: configuration.settings(),
            started_from: experiment.start.as_ref().map(|start| start.from.clone()),
            ..manifest
        },
    }
}

/// What is worth knowing of machine and program; compared with nothing.
pub(crate) fn environment(experiment: &Experiment, workers: usize, processes: usize) -> serde_json::Value {
    serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": option_env!("SPFDE_REVISION"),
        "architecture": std::env::consts::ARCH,
        "system": std::env::consts::OS,
        "cpu_features": cpu_features(),
        "kernel": experiment.settings().kernel.name(),
        "storage": experiment.settings().storage,
        "workers": workers,
        "processes": processes,
        // What relative paths of the configuration are relative to.
        "working_directory": std::env::current_dir().ok().and_then(|path| path.to_str().map(str::to_owned)),
    })
}

/// The directory in which a run with this environment began.
pub(crate) fn began_in(environment: &serde_json::Value) -> Option<PathBuf> {
    environment["working_directory"].as_str().map(PathBuf::from)
}

/// Those of its features that matter to kernels.
fn cpu_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let known = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let known = [];
    known.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect()
}
