//! What `environment.json` says of the machine and the program.

use crate::Experiment;

/// What is worth knowing of machine and program; compared with nothing.
pub(crate) fn environment(experiment: &Experiment, workers: usize, processes: usize) -> serde_json::Value {
    let features: Vec<&str> = cpu_features();
    serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": option_env!("SPFDE_REVISION"),
        "architecture": std::env::consts::ARCH,
        "system": std::env::consts::OS,
        "cpu_features": features,
        "kernel": experiment.settings().kernel.name(),
        "storage": experiment.settings().storage,
        "workers": workers,
        "processes": processes,
        // What relative paths of the configuration are relative to.
        "working_directory": std::env::current_dir().ok().and_then(|path| path.to_str().map(str::to_owned)),
    })
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    let known = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    known.into_iter().filter(|(_, found)| *found).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}
