//! Training learns.

use spfde_data::rows::EpochRow;
use spfde_model::models;

use crate::support::Bench;

/// Accuracy on the test set after the last epoch; chance is 0.1.
fn accuracy(words: &[&str]) -> f64 {
    let bench = Bench::new(400);
    let (_, run) = bench.train("run", words);
    let rows = run.rows::<EpochRow>();
    let losses: Vec<f64> = rows.iter().filter_map(|row| row.train_loss).collect();
    assert_eq!(losses.len(), rows.len());
    assert!(losses[losses.len() - 1] < 0.5 * losses[0], "{words:?}: the loss falls: {losses:?}");
    rows.last().and_then(|row| row.test_accuracy).unwrap()
}

#[test]
fn the_default_policies_learn() {
    let accuracy = accuracy(&["model.name=resnet20", "train.epochs=6"]);
    assert!(accuracy > 0.8, "{accuracy}");
}

#[test]
fn networks_learn_at_the_learning_rate_of_their_model_dense_and_sparse() {
    for entry in models::registry() {
        let epochs = match entry.name {
            "lenet5" => 12,
            "mlp" => 4,
            _ => continue,
        };
        for (mask, least) in [("mask.policy=dense", 0.8), ("mask.policy=mest-ems", 0.7)] {
            let words = [format!("model.name={}", entry.name), format!("train.epochs={epochs}")];
            let rate = format!("train.learning_rate={}", entry.learning_rate);
            let accuracy =
                accuracy(&[&words[0], &words[1], &rate, mask, "freeze.policy=none", "sieve.policy=none"]);
            assert!(accuracy > least, "{words:?}, {mask}: {accuracy}");
        }
    }
}

#[test]
fn a_sparse_network_learns_while_blocks_freeze_by_their_gradients() {
    let words = [
        "model.name=lenet5",
        "train.epochs=20",
        "train.learning_rate=0.03",
        "mask.policy=mest-em",
        "mask.sparsity=0.5",
        "freeze.policy=gradient-norm",
        "sieve.policy=random",
    ];
    let accuracy = accuracy(&words);
    assert!(accuracy > 0.5, "{accuracy}");
}
