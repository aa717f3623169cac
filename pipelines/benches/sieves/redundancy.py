#!/usr/bin/env python3
"""The share of redundant rows among those that sieves remove, where it is known which rows are redundant.

    python3 redundancy.py redundant full --spfde spfde --fractions 0.15,0.3,0.5

Replays a recorded run under every sieve, `random` among them, and prints a Markdown table. The run has to be one on
data with a column `original` (near_duplicates.py, emoji.py), with sieve.policy=none: it has a score of every sample in
every epoch. Counts go over all epochs in which rows are out:

- copies: of the rows that are out, the share that are copies;
- spared: of the rows that are out, the share of which a twin (the original of a copy, a copy of an original, or another
  copy of the same) is in training: what they show is seen in spite of it.

It needs `pip install numpy pyarrow`.
"""

import argparse
import pathlib
import subprocess
import tempfile

import numpy as np
import pyarrow.parquet as pq

POLICIES = ["random", "circular", "one-shot", "infobatch", "error-norm", "loss", "forgetting"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, help="the data set")
    parser.add_argument("run", type=pathlib.Path, help="a run on it")
    parser.add_argument("--spfde", default="spfde", help="the program")
    parser.add_argument("--fractions", default="0.15,0.3,0.5")
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("settings", nargs="*", help="more settings of the sieves, such as sieve.interval=1")
    arguments = parser.parse_args()
    original = pq.read_table(arguments.data / "train.parquet", columns=["original"])["original"].to_pylist()
    groups = np.array([row if of is None else of for row, of in enumerate(original)])
    copies = np.array([of is not None for of in original])
    print("| `sieve.policy` | `sieve.fraction` | removed | copies | spared |")
    print("|---|---:|---:|---:|---:|")
    print(f"| all rows | | | {100 * copies.mean():.1f} % | |")
    for fraction in arguments.fractions.split(","):
        for policy in arguments.policies.split(","):
            removed, copied, spared = score(arguments, policy, fraction, groups, copies)
            print(f"| `{policy}` | {fraction} | {100 * removed:.1f} % | {100 * copied:.1f} % | {100 * spared:.1f} % |")


def score(arguments, policy, fraction, groups, copies):
    """The shares of one sieve."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [f"sieve.policy={policy}", f"sieve.fraction={fraction}", *arguments.settings]
        command = [arguments.spfde, "replay", arguments.run, *words, "--out", f"{scratch}/replay"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        trace = pathlib.Path(scratch) / "replay" / "trace"
        rows = pq.read_table(trace / "sieves", columns=["epoch", "sample", "diff"])
        epochs = pq.read_table(trace / "epochs", columns=["epoch"]).num_rows
    epoch, sample, diff = (rows[name].to_numpy() for name in ("epoch", "sample", "diff"))
    active = np.zeros(len(groups), np.int64)
    out = copied = spared = cut = 0
    for now in range(epochs):
        np.add.at(active, sample[epoch == now], diff[epoch == now].astype(np.int64))
        outside = active == 0
        if outside.any():
            cut += 1
            seen = np.bincount(groups, weights=active, minlength=len(groups)) > 0
            out += outside.sum()
            copied += (outside & copies).sum()
            spared += (outside & seen[groups]).sum()
    return out / max(1, cut * len(groups)), copied / max(1, out), spared / max(1, out)


if __name__ == "__main__":
    main()
