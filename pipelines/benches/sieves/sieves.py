#!/usr/bin/env python3
"""Trains under every sieve at equal counted FLOPs and prints a Markdown table of test accuracies.

    python3 sieves.py --spfde ../../../target/release/spfde --out sieves.jsonl

At each fraction the budget is what `random` costs in --epochs epochs: so many samples trained. Rules that train the
whole set first, and `none`, get as many epochs as come nearest to it. Each row has the mean and the standard deviation
of the test accuracy over the seeds, the epochs, the FLOPs of training as a share of the budget, and the difference to
`random`. What `infobatch` leaves out follows from losses: it aims at the fraction, and its FLOPs say what came of it.
Runs that stand in the file already are not made again. `--rows` trains on the first so many images of `--data` alone,
which takes so much less time. It needs Python 3.8, and `pip install pyarrow` for `--rows`.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

POLICIES = ["none", "random", "circular", "one-shot", "infobatch", "error-norm", "loss", "forgetting"]
INTERVAL = 2
# The share of samples with a loss below the mean, about; and that of the epochs in which `infobatch` thins.
BELOW_MEAN, THINNED = 0.75, 0.875
# With which the table of the guide was measured: defaults of an earlier version.
EARLIER = ["train.optimizer=momentum", "train.weight_decay=0.0001", "data.augment=crop-flip"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spfde", default="spfde", help="the program")
    parser.add_argument("--out", default="sieves.jsonl", help="what the runs gave, a line each")
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--sparsity", default="0.9")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fractions", default="0.15,0.3,0.5")
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--rows", type=int, default=0, help="training images; 0: all of the program's own data set")
    parser.add_argument("--data", type=pathlib.Path, default="data/fashion-mnist", help="where --rows takes them from")
    parser.add_argument("settings", nargs="*", help="more settings for all runs, such as train.shards=2")
    arguments = parser.parse_args()
    cases = [(policy, fraction) for fraction in arguments.fractions.split(",") for policy in arguments.policies.split(",")]
    out = pathlib.Path(arguments.out)
    lines = out.read_text().splitlines() if out.exists() else []
    asked = [arguments.model, arguments.sparsity, arguments.epochs, arguments.rows, *arguments.settings]
    same = [run for run in map(json.loads, lines) if run["asked"] == asked]
    known = {(run["policy"], run["fraction"], run["seed"]): run for run in same}
    with tempfile.TemporaryDirectory() as scratch:
        data = part_of(arguments.data, arguments.rows, pathlib.Path(scratch)) if arguments.rows else []
        for seed in range(arguments.seeds):
            for policy, fraction in cases:
                if (policy, fraction, seed) not in known:
                    run = {**train(arguments, policy, fraction, seed, data), "asked": asked}
                    known[policy, fraction, seed] = run
                    with out.open("a") as file:
                        file.write(json.dumps(run) + "\n")
    table(cases, known, arguments.seeds)


def part_of(data, rows, into):
    """Writes the first rows of a data set, and its test images; the settings with which a run reads them."""
    import pyarrow.parquet as pq

    for part, count in [("train", rows), ("test", None)]:
        table = pq.read_table(data / f"{part}.parquet").slice(0, count)
        # The rest of what is known of the data set holds for all of its rows.
        known = json.loads(table.schema.metadata[b"spfde.data"])
        shape = {side: known[side] for side in ("channels", "height", "width")}
        table = table.replace_schema_metadata({"spfde.data": json.dumps(shape)})
        pq.write_table(table, into / f"{part}.parquet", row_group_size=4096)
    return [f"data.path={into}"]


def active(policy, fraction, epoch, epochs):
    """The share of the samples that train in an epoch."""
    if policy == "none":
        return 1.0
    if policy == "infobatch":
        return 1.0 if epoch == 0 or epoch > THINNED * epochs else 1.0 - fraction
    first = {"one-shot": max(1, round(0.4375 * epochs)), "random": 0, "circular": 0}.get(policy, INTERVAL)
    return 1.0 if epoch < first else 1.0 - fraction


def epochs_of(policy, fraction, epochs):
    """The epochs that come nearest to the samples that `random` trains."""
    budget = epochs * (1.0 - fraction)
    trained = lambda count: sum(active(policy, fraction, epoch, count) for epoch in range(count))
    return min(range(1, epochs + 1), key=lambda count: abs(trained(count) - budget))


def train(arguments, policy, fraction, seed, data):
    """One run: what it reached, and what it cost."""
    epochs = epochs_of(policy, float(fraction), arguments.epochs)
    print(f"{policy} {fraction} {seed}: {epochs} epochs", file=sys.stderr, flush=True)
    words = [f"sieve.policy={policy}"]
    if policy == "infobatch":
        words.append(f"sieve.fraction={min(0.95, float(fraction) / BELOW_MEAN):.4f}")
    elif policy != "none":
        words.append(f"sieve.fraction={fraction}")
        words += [] if policy == "one-shot" else [f"sieve.interval={INTERVAL}"]
    with tempfile.TemporaryDirectory() as scratch:
        words = [
            f"model.name={arguments.model}", f"mask.sparsity={arguments.sparsity}", "freeze.policy=none",
            f"train.epochs={epochs}", f"seed={seed}", *data, *EARLIER, *words, *arguments.settings,
        ]
        command = [arguments.spfde, "train", *words, "--json", "--no-dense", "--run-dir", f"{scratch}/run"]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    events = [json.loads(line) for line in told.splitlines()]
    rows = [event for event in events if event["event"] == "epoch"]
    return {
        "policy": policy,
        "fraction": fraction,
        "seed": seed,
        "epochs": epochs,
        "accuracy": rows[-1]["test_accuracy"],
        "flops": sum(row["forward_flops"] + row["backward_flops"] for row in rows),
    }


def table(cases, known, seeds):
    """All cases as rows."""
    print("| `sieve.policy` | removed | epochs | FLOPs of `random` | test accuracy | less `random` |")
    print("|---|---:|---:|---:|---:|---:|")
    for policy, fraction in cases:
        runs = [known[policy, fraction, seed] for seed in range(seeds)]
        others = [known.get(("random", fraction, seed)) for seed in range(seeds)]
        accuracies = [100 * run["accuracy"] for run in runs]
        deviation = statistics.stdev(accuracies) if seeds > 1 else 0.0
        cost = difference = "—"
        if all(others):
            share = sum(run["flops"] for run in runs) / sum(other["flops"] for other in others)
            cost = f"{100 * share:.1f} %"
            difference = f"{statistics.mean(accuracies) - 100 * statistics.mean(other['accuracy'] for other in others):+.2f}"
        accuracy = f"{statistics.mean(accuracies):.2f} ± {deviation:.2f} %"
        removed = "0" if policy == "none" else fraction
        print(f"| `{policy}` | {removed} | {runs[0]['epochs']} | {cost} | {accuracy} | {difference} |")


if __name__ == "__main__":
    main()
