//! Freeze policies judged by bare gradients: those of a run of this program, and those that the recorder for
//! PyTorch has written.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use spfde_data::files::manifest::Manifest;
use spfde_data::files::parquet_store::read_stream;
use spfde_data::files::table_file::{self, Values};
use spfde_data::{EpochRow, FreezeRow, GradientRow, LayerKind, Row};

use crate::place::Place;

/// The rows of a stream of a run.
fn rows<R: Row>(run: &Path) -> Vec<R> {
    let manifest = Manifest::read(run).unwrap();
    let rows = read_stream::<R>(run, &manifest, 0..manifest.epochs_reached);
    let mut rows: Vec<R> = rows.flat_map(|batch| batch.unwrap().into_rows::<R>()).collect();
    rows.sort_by_key(Row::order);
    rows
}

/// Trains a dense network, nothing of which freezes, and writes its gradients and layers to `bare` as another
/// trainer would, one file for each epoch, counted from 1. The names of the layers.
fn record(place: &Place) -> Vec<String> {
    let policies = ["mask.policy=dense", "freeze.policy=none", "sieve.policy=none", "train.epochs=8"];
    let words = ["train", "data.path=data", "model.name=lenet5", "data.batch_size=32", "--run-dir", "run"];
    place.run(&[&words[..], &policies].concat()).done();
    std::fs::create_dir(place.path("bare")).unwrap();
    let words = [format!("data.path={}", place.path("data").display()), "model.name=lenet5".to_owned()];
    let source = spfde::Source::from_words(&words).unwrap();
    let configuration = spfde::Configuration::resolve(source.entries()).unwrap();
    let experiment = spfde::Experiment::new(configuration).unwrap();
    let network = experiment.settings().network.architecture();
    let mut text = String::new();
    for layer in &network.layers {
        let kind = if layer.kind == LayerKind::Linear { "linear" } else { "convolution" };
        let (rows, columns) = layer.kernel;
        writeln!(text, "[[layer]]\nname = \"{}\"\nkind = \"{kind}\"", layer.name).unwrap();
        writeln!(text, "outputs = {}\ninputs = {}", layer.outputs, layer.inputs).unwrap();
        writeln!(text, "kernel = [{rows}, {columns}]\noutput = [{}, 1]", layer.positions).unwrap();
        if let Some(block) = network.blocks.get(layer.block) {
            writeln!(text, "block = \"{block}\"\nreads_block_input = {}", layer.reads_block_input).unwrap();
        }
    }
    std::fs::write(place.path("layers.toml"), text).unwrap();
    let mut epochs = BTreeMap::<u32, Vec<GradientRow>>::new();
    for row in rows::<GradientRow>(&place.path("run")) {
        epochs.entry(row.epoch).or_default().push(row);
    }
    let names: Vec<String> = network.layers.iter().map(|layer| layer.name.clone()).collect();
    epochs.iter().for_each(|(epoch, rows)| write(place, *epoch, rows, &names));
    names
}

/// Writes the rows of an epoch as another trainer would.
fn write(place: &Place, epoch: u32, rows: &[GradientRow], names: &[String]) {
    let whole =
        |of: &dyn Fn(&GradientRow) -> i64| Values::Integer(rows.iter().map(|row| Some(of(row))).collect());
    let norm = |of: &dyn Fn(&GradientRow) -> f32| {
        Values::Number(rows.iter().map(|row| Some(f64::from(of(row)))).collect())
    };
    let names = rows.iter().map(|row| Some(names[usize::from(row.layer)].clone()));
    let columns = [
        ("epoch", whole(&|row| i64::from(row.epoch) + 1)),
        ("step", whole(&|row| row.step.into())),
        ("layer", whole(&|row| row.layer.into())),
        ("name", Values::Text(names.collect())),
        ("l2", norm(&|row| row.l2)),
        ("l1", norm(&|row| row.l1)),
        ("nonzero", whole(&|row| row.nonzero.into())),
    ];
    let columns = columns.map(|(name, values)| (name.to_owned(), values)).into();
    table_file::write(&place.path(&format!("bare/{epoch}.parquet")), columns).unwrap();
}

/// The object that a command prints.
fn json(place: &Place, words: &[&str]) -> Value {
    serde_json::from_str(&place.run(&[words, &["--json"]].concat()).done().out).unwrap()
}

#[test]
fn bare_gradients_give_the_decisions_and_the_savings_of_a_replay_of_the_run() {
    let place = Place::with_data();
    let names = record(&place);
    let settled = [
        "freeze.policy=gradient-norm",
        "freeze.threshold=1",
        "freeze.patience=1",
        "freeze.flops_reduction=0.9",
        "freeze.thaw_rate=0",
    ];
    let planned = ["freeze.policy=progressive", "freeze.flops_reduction=0.1"];
    let flops = |run: &str| -> u64 {
        rows::<EpochRow>(&place.path(run)).iter().map(|row| row.forward_flops + row.backward_flops).sum()
    };
    for (number, words) in [&settled[..], &planned, &["freeze.policy=none"]].into_iter().enumerate() {
        let out = format!("replay{number}");
        place.run(&[&["replay", "run", "mask.policy=dense", "--out", &out], words].concat()).done();
        let bare = ["replay", "--gradients", "bare", "--first-epoch", "1", "train.schedule=cosine"];
        let words = [&bare[..], words].concat();
        let found = json(&place, &words);
        let member = &found["members"][0];
        let mut expected = BTreeMap::<u32, Vec<String>>::new();
        let blocks = ["convolution1", "convolution2", "linear1", "linear2", "linear3"];
        for row in rows::<FreezeRow>(&place.path(&out)) {
            expected.entry(row.epoch).or_default().push(blocks[usize::from(row.layer)].to_owned());
        }
        let mut decided = BTreeMap::<u32, Vec<String>>::new();
        for change in member["changes"].as_array().unwrap() {
            assert_eq!(change["frozen"], true);
            let epoch = change["epoch"].as_u64().unwrap() as u32;
            decided.entry(epoch).or_default().push(change["block"].as_str().unwrap().to_owned());
        }
        assert_eq!(decided, expected, "{words:?}");
        assert_eq!(decided.is_empty(), number == 2);
        // Each of 120 samples in each epoch.
        assert_eq!(member["flops_per_sample"].as_u64().unwrap() * 120, flops(&out));
        assert_eq!(member["unfrozen_flops_per_sample"].as_u64().unwrap() * 120, flops("run"));
        let saved = 1.0 - flops(&out) as f64 / flops("run") as f64;
        assert!((member["saved"].as_f64().unwrap() - saved).abs() < 1e-12);
        assert_eq!(member["censored_norms"], 0);
    }
    // A grid, its table for people, and its decisions.
    let grid =
        ["replay", "--gradients", "bare", "--first-epoch", "1", "freeze.threshold=1", "freeze.patience=1"];
    let grid = [&grid[..], &["--grid", "freeze.policy=gradient-norm,none", "--out", "out"]].concat();
    let text = place.run(&grid).done().out;
    assert!(text.contains("160 norms of 5 layers over 8 epochs"), "{text}");
    assert!(
        text.contains("\nblock         layers  member 0  member 1\nconvolution1       1    from "),
        "{text}"
    );
    let mut layers = Vec::new();
    table_file::read(&place.path("out/freezes.parquet"), &["member", "block"], |columns| layers = columns)
        .unwrap();
    let Values::Integer(members) = &layers[0] else { panic!("{layers:?}") };
    assert!(!members.is_empty() && members.iter().all(|member| *member == Some(0)));
    // In the fifth epoch the first layer was frozen: four norms are missing, unless the replay froze it.
    let lacking: Vec<GradientRow> = rows(&place.path("run"))
        .into_iter()
        .filter(|row: &GradientRow| row.epoch == 4 && row.layer > 0)
        .collect();
    write(&place, 4, &lacking, &names);
    for (words, censored) in [(&planned[..], 4), (&settled, 0)] {
        let words = [&["replay", "--gradients", "bare", "--first-epoch", "1"], words].concat();
        let member = json(&place, &words)["members"][0].clone();
        assert_eq!(member["censored_norms"], censored, "{member}");
    }
    let refused = |words: &[&str], code, start: &str, end: &str| {
        place.run(&[&["replay", "--gradients", "bare"], words].concat()).refused(code, start, end);
    };
    refused(&[], 2, "no rows of epoch 0", "add --first-epoch 1");
    refused(&["--first-epoch", "1", "sieve.fraction=0.5"], 2, "`sieve.fraction`", "can be set");
    refused(&["--first-epoch", "1", "freeze.policy=autofreeze"], 2, "`freeze.policy`", "bare gradients lack");
    refused(&["more"], 2, "`more` is neither key=value", "");
    std::fs::remove_file(place.path("layers.toml")).unwrap();
    refused(&["--first-epoch", "1"], 2, "layers.toml: cannot read the list of layers: ", "");
}

#[test]
fn what_the_recorder_wrote_is_judged_with_its_scores() {
    let place = Place::new();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let (scores, gradients) = (recorded.join("scores"), recorded.join("gradients"));
    let words = ["replay", "--scores", scores.to_str().unwrap(), "--gradients", gradients.to_str().unwrap()];
    let settings = [
        "sieve.policy=forgetting",
        "freeze.policy=gradient-norm",
        "freeze.threshold=1",
        "freeze.patience=1",
        "freeze.flops_reduction=0.9",
        "mask.interval=1",
        "--json",
    ];
    let printed = place.run(&[&words[..], &settings].concat()).done().out;
    let objects: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((objects.len(), &objects[0]["samples"]), (2, &Value::from(200)));
    let member = &objects[1]["members"][0];
    // One block; it can freeze once two windows are compared: at the start of the last of three epochs.
    assert_eq!(member["blocks"], serde_json::json!([{"block": "0", "frozen": [[2, null]]}]));
    // 128 and 64 weights. Forward 2 FLOPs a weight; backward twice that, but for the first layer, which reads
    // the input, and nothing of it when it is frozen, nor of the input of the other.
    let (forward, backward) = (2 * (128 + 64), 2 * (128 + 2 * 64));
    assert_eq!(member["unfrozen_flops_per_sample"], 3 * (forward + backward));
    assert_eq!(member["flops_per_sample"], 3 * forward + 2 * backward + 2 * 64);
}
