//! Whole runs: from IDX files to a verified run, and two that end early.

#[cfg(unix)]
use std::path::Path;
#[cfg(unix)]
use std::process::{Command, Stdio};
#[cfg(unix)]
use std::time::{Duration, Instant};

#[cfg(unix)]
use spfde_data::files::manifest::Manifest;

use crate::place::{Place, RUN, write_idx};

#[test]
fn a_data_set_with_more_pixels_than_the_cache_holds_is_read_by_need() {
    let place = Place::with_data();
    let words = |cache: usize, more: &[&str]| -> Vec<String> {
        let cache = format!("data.cache_bytes={cache}");
        RUN.iter()
            .copied()
            .chain(["train.epochs=2", &cache])
            .chain(more.iter().copied())
            .map(str::to_owned)
            .collect()
    };
    let train = |cache: usize, more: &[&str]| {
        let words = words(cache, more);
        place.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    // 160 images of 144 bytes in two row groups, the larger of 120.
    train(23_040, &["--run-dir", "held"]).done();
    train(17_280, &["--run-dir", "stored", "--workers", "2"]).done();
    train(17_280, &["--run-dir", "blocks", "data.order=blocks"]).done();
    let evaluated = |run: &str| place.run(&["evaluate", run, "--json"]).done().out;
    assert_eq!(evaluated("held"), evaluated("stored"));
    // One row group is one window.
    assert_eq!(evaluated("held"), evaluated("blocks"));
    let predicted = |run: &str| place.run(&["predict", run, "--data", "data", "--csv"]).done().out;
    assert_eq!(predicted("held"), predicted("stored"));
    train(17_279, &[]).refused(
        1,
        "data/train.parquet: row group 0 is of 17280 bytes of pixels; expected at most data.cache_bytes = ",
        "raise data.cache_bytes, or write the file with smaller row groups",
    );
    // A replay reads no pixels.
    std::fs::remove_dir_all(place.path("data")).unwrap();
    place.run(&["replay", "stored"]).done();
    place.run(&["verify", "stored"]).done();
}

#[test]
fn from_idx_files_to_a_verified_run() {
    let place = Place::new();
    write_idx(&place.path("idx"));
    let imported = place.run(&["import", "idx", "idx", "--out", "data", "--name", "patterns"]).done();
    assert!(imported.out.contains("patterns: 120 training and 40 test images, 1 × 12 × 12, 10 classes"));
    let words = ["train", "data.path=data", "model.name=mlp", "train.epochs=2", "freeze.policy=none"];
    let trained = place.run(&words).done();
    let notes: Vec<&str> =
        trained.err.lines().filter(|line| !line.contains("better than guessing")).collect();
    assert_eq!(
        notes,
        [
            "note: no mask changes: mask.interval = 2 is too long for 2 epochs",
            "note: the active set never changes: sieve.interval = 2 is too long for 2 epochs"
        ]
    );
    for part in ["test accuracy", "counted", "run directory: runs/mlp-0-1 (verified: 2 of 2 epochs"] {
        assert!(trained.out.contains(part), "{part} in {}", trained.out);
    }
    let verified = place.run(&["verify", "runs/mlp-0-1"]).done();
    assert!(verified.out.starts_with("runs/mlp-0-1: sound: 2 of 2 epochs, "), "{}", verified.out);
    let files = ["config.toml", "environment.json", "manifest.json", "checkpoint/e00002.safetensors"];
    assert!(files.iter().all(|file| place.path("runs/mlp-0-1").join(file).is_file()));
    // The next one gets a directory of its own.
    place.run(&words).done();
    place.run(&["verify", "runs/mlp-0-2"]).done();
    place.run(&["verify", "data"]).refused(
        1,
        "data: has no manifest.json; it is not the directory of a run",
        "",
    );

    let segment = place.path("runs/mlp-0-2/trace/scores/e00001-w00.parquet");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let damaged = "runs/mlp-0-2/trace/scores/e00001-w00.parquet: BLAKE3 is ";
    // One finding is told once, several line by line.
    let verify = || place.run(&["verify", "runs/mlp-0-2"]);
    verify().refused(1, &format!("runs/mlp-0-2: 1 finding: {damaged}"), "");
    std::fs::remove_file(place.path("runs/mlp-0-2/environment.json")).unwrap();
    let both = verify();
    assert_eq!((both.code, both.out.as_str()), (Some(1), ""));
    let environment = "runs/mlp-0-2/environment.json: cannot open: ";
    let starts = [
        format!("runs/mlp-0-2: {environment}"),
        format!("runs/mlp-0-2: {damaged}"),
        format!("spfde: runs/mlp-0-2: 2 findings, the first: {environment}"),
    ];
    let lines: Vec<&str> = both.err.lines().collect();
    assert!(
        lines.len() == 3 && lines.iter().zip(&starts).all(|(line, start)| line.starts_with(start)),
        "{both:?}"
    );
}

#[test]
fn a_run_whose_loss_is_not_finite_ends_with_exit_code_3_and_says_what_is_kept() {
    let place = Place::with_data();
    let words = [
        "train",
        "data.path=data",
        "model.name=lenet5",
        "mask.sparsity=0.5",
        "freeze.policy=none",
        // Decay that multiplies every weight by −999 at every step.
        "train.learning_rate=1000",
        "train.weight_decay=1",
        "--run-dir",
        "run",
    ];
    let stopped = place.run(&words);
    // It does not end with what to resume with.
    stopped.stopped(
        3,
        "stage gradients on worker ",
        " committed in run, the last checkpoint is after epoch 2",
    );
    let resuming = "resuming would only lead to it again: start another run with a lower train.learning_rate";
    for part in [", step ", "of sample ", " layer `", resuming] {
        assert!(stopped.err.contains(part), "{part} in {}", stopped.err);
    }
    // It is the same step again: nothing random brought it about.
    let again = place.run(&["resume", "run"]);
    let fault = |err: &str| {
        err.lines().last().unwrap().split_once("epoch ").unwrap().1.split_once(';').unwrap().0.to_owned()
    };
    assert_eq!((again.code, fault(&again.err)), (Some(3), fault(&stopped.err)));
    place.run(&["verify", "run"]).done();
}

/// How far a run came; `None` before it has a manifest.
#[cfg(unix)]
fn reached(run: &Path) -> Option<u32> {
    Manifest::read(run).ok().map(|manifest| manifest.epochs_reached)
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_run_with_exit_code_130_and_keeps_what_is_committed() {
    let place = Place::with_data();
    let words = [
        "train",
        "data.path=data",
        "model.name=lenet5",
        "mask.sparsity=0.5",
        "freeze.policy=none",
        "train.epochs=10000",
        "--workers",
        "2",
        "--run-dir",
        "run",
    ];
    let mut child = place.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Far more than it takes; only a run that hangs gets there.
    let deadline = Instant::now() + Duration::from_secs(120);
    let run = place.path("run");
    while reached(&run).is_none_or(|epochs| epochs < 2) {
        assert_eq!(child.try_wait().unwrap(), None, "it trains until it is interrupted");
        assert!(Instant::now() < deadline, "no epoch was committed");
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    while child.try_wait().unwrap().is_none() {
        if Instant::now() >= deadline {
            child.kill().unwrap();
            panic!("the run goes on after the interrupt");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let committed = reached(&run).unwrap();
    assert!(committed >= 2);
    let err = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = err.lines().filter(|line| !line.contains("better than guessing")).collect();
    assert_eq!(
        lines[0],
        "note: stopping, after the step in flight if there is one; once more to stop at once"
    );
    let kept = format!(
        "; {committed} of 10000 epochs are committed in run, the last checkpoint is after epoch {committed}; \
         resume with: spfde resume run"
    );
    assert!(lines[1].starts_with("spfde: interrupted at epoch ") && lines[1].ends_with(&kept), "{err}");
    assert_eq!(lines.len(), 2, "{err}");
    let out = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<&str> = out.lines().skip(2).map_while(|line| line.split_whitespace().next()).collect();
    assert!(rows.iter().map(|row| row.parse()).eq((1..=committed).map(Ok)), "{out}");
    assert!(
        out.contains(&format!("\n\nstopped after {committed} of 10000 epochs\nlenet5 on data: "))
            && out.contains("\ncost of training: "),
        "{out}"
    );
    let verified = place.run(&["verify", "run"]).done();
    assert!(verified.out.contains(&format!("sound: {committed} of 10000 epochs")), "{}", verified.out);
}

/// If the disk behind standard output is full, the program loses what the user asked for, and says so. If the
/// reader has closed the pipe, nothing is lost.
#[cfg(target_os = "linux")]
#[test]
fn output_that_is_lost_is_a_failure() {
    let place = Place::with_runs(&[("run", "seed=0")]);
    for words in
        [&["verify", "run"][..], &["replay", "run"], &["train", "data.path=data", "--dry-run"], &["list"]]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let lost = place.command(words).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&lost.stderr).into_owned();
        assert_eq!(lost.status.code(), Some(1), "{words:?}: {said}");
        assert!(
            said.contains("spfde: standard output was lost: No space left on device"),
            "{words:?}: {said}"
        );
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let closed = place.command(words).stdout(writer).output().unwrap();
        assert_eq!(closed.status.code(), Some(0), "{words:?}: {closed:?}");
    }
}
