#!/usr/bin/env python3
"""Trains under every mask policy with the same short budget and prints a Markdown table.

    python3 masks.py --spfde ../../../target/release/spfde --out masks.jsonl

Each row has the mean and the standard deviation of the test accuracy over the seeds, the FLOPs of the runs as a
share of dense training on as many samples, and their seconds as a share of the dense runs' on this machine. FLOPs
are those of forward and backward passes; what policies ask for beyond them stands in a column of its own. The last
column has the seconds as a share of those of `static` with as many FLOPs, between whose runs at some densities it
interpolates. `--timed 1` takes seconds of the first seed alone. Runs that stand in the file already are not made
again. It needs Python 3.8 and nothing else.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

POLICIES = [
    "static", "set", "rigl", "snfs", "gse", "deep-r", "dsr", "mest-em", "mest-ems", "gmp", "magnitude", "lottery", "granet",
    "snip", "grasp", "synflow", "top-kast",
]
# Sparsities at which `static` trains besides those asked for, so that there is one to compare with.
BASELINES = ["0.5", "0.8", "0.9", "0.95", "0.98", "0.99"]
# A tenth of the training images, the same in every epoch.
BUDGET = ["sieve.policy=random", "sieve.fraction=0.9", "sieve.interval=1000", "freeze.policy=none"]
# With which the table of the guide was measured: defaults of an earlier version.
BUDGET += ["train.optimizer=momentum", "train.weight_decay=0.0001", "data.augment=crop-flip"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spfde", default="spfde", help="the program")
    parser.add_argument("--out", default="masks.jsonl", help="what the runs gave, a line each")
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--timed", type=int, default=0, help="seeds whose seconds count; 0: all")
    parser.add_argument("--sparsities", default="0.9,0.98")
    parser.add_argument("--policies", default=",".join(POLICIES))
    arguments = parser.parse_args()
    sparsities = arguments.sparsities.split(",")
    cases = [("dense", "0.9")]
    cases += [(policy, sparsity) for sparsity in sparsities for policy in arguments.policies.split(",")]
    out = pathlib.Path(arguments.out)
    lines = out.read_text().splitlines() if out.exists() else []
    known = {(run["policy"], run["sparsity"], run["seed"]): run for run in map(json.loads, lines)}
    timed = arguments.timed or arguments.seeds
    baselines = [("static", sparsity) for sparsity in BASELINES if ("static", sparsity) not in cases]
    for seed in range(arguments.seeds):
        for policy, sparsity in cases + (baselines if seed < timed else []):
            if (policy, sparsity, seed) not in known:
                run = train(arguments, policy, sparsity, seed)
                known[policy, sparsity, seed] = run
                with out.open("a") as file:
                    file.write(json.dumps(run) + "\n")
    table(cases, known, arguments.seeds, timed)


def train(arguments, policy, sparsity, seed):
    """One run: what it reached, and what it cost."""
    print(f"{policy} {sparsity} {seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        words = [
            f"model.name={arguments.model}", f"train.epochs={arguments.epochs}", f"mask.policy={policy}",
            f"mask.sparsity={sparsity}", f"seed={seed}", *BUDGET,
        ]
        command = [arguments.spfde, "train", *words, "--json", "--no-dense", "--run-dir", f"{scratch}/run"]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    events = [json.loads(line) for line in told.splitlines()]
    epochs = [event for event in events if event["event"] == "epoch"]
    total = lambda column: sum(epoch[column] for epoch in epochs)
    return {
        "policy": policy,
        "sparsity": sparsity,
        "seed": seed,
        "accuracy": epochs[-1]["test_accuracy"],
        "flops": total("forward_flops") + total("backward_flops"),
        "extra_flops": total("extra_flops"),
        "seconds": total("seconds"),
    }


def table(cases, known, seeds, timed):
    """All cases as rows."""
    mean = lambda policy, sparsity, column, of=seeds: statistics.mean(
        known[policy, sparsity, seed][column] for seed in range(of)
    )
    seconds = lambda policy, sparsity: mean(policy, sparsity, "seconds", timed)
    flops, time = mean(*cases[0], "flops"), seconds(*cases[0])
    baselines = [case for case in {*cases, *(("static", sparsity) for sparsity in BASELINES)} if case[0] == "static"]
    line = sorted((mean(*case, "flops", timed), seconds(*case)) for case in [*baselines, cases[0]])
    print("| policy | sparsity | test accuracy | FLOPs of dense | beyond | time of dense | time of `static` |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for policy, sparsity in cases:
        accuracies = [100 * known[policy, sparsity, seed]["accuracy"] for seed in range(seeds)]
        deviation = statistics.stdev(accuracies) if seeds > 1 else 0.0
        shares = [mean(policy, sparsity, "flops") / flops, mean(policy, sparsity, "extra_flops") / flops]
        shares += [seconds(policy, sparsity) / time]
        static = interpolated(line, mean(policy, sparsity, "flops", timed))
        shown = "0" if policy == "dense" else sparsity
        accuracy = f"{statistics.mean(accuracies):.2f} ± {deviation:.2f} %"
        cells = [accuracy, *(f"{100 * share:.1f} %" for share in shares), f"{seconds(policy, sparsity) / static:.2f}"]
        print(f"| `{policy}` | {shown} | {' | '.join(cells)} |")


def interpolated(line, flops):
    """The seconds that belong to so many FLOPs, by the two points of a line that are nearest."""
    after = next((place for place, point in enumerate(line) if point[0] >= flops), len(line) - 1)
    (low, early), (high, late) = line[max(after, 1) - 1], line[max(after, 1)]
    return early + (late - early) * (flops - low) / (high - low)


if __name__ == "__main__":
    main()
