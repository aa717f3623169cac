#!/usr/bin/env python3
"""Does every sieve remove whom a program in SQL would, from the table `scores` of the same run?

  python tests/duckdb/sieve_truth.py target/release/spfde DIR [--epochs 8] [--workers 2] [--policies forgetting,loss]

Trains a run under every sieve into DIR, on Fashion-MNIST, and decides the same from its scores with DuckDB: forgetting
counts by window functions (Toneva et al.: right, then wrong at the next presentation; never right sorts last), the
order of removal by count, then by a keyed draw; latest losses and norms of errors; the mean of `infobatch`. Compares
row by row, keys and weights included. Prints one line for each comparison; exit code 0 if all agree. Needs
`pip install duckdb numpy pyarrow`. Not part of the tests that cargo runs: takes a few minutes. `circular` in SQL is in
replay_truth.py.

Only the keyed draws are computed outside of SQL (the finaliser of SplitMix64, see data/src/random.rs).
"""
import argparse
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("spfde")
ap.add_argument("dir", type=Path)
ap.add_argument("--epochs", type=int, default=8)
ap.add_argument("--workers", type=int, default=2)
ap.add_argument("--policies", default="forgetting,one-shot,error-norm,loss,random,infobatch")
args = ap.parse_args()
SAMPLES, SEED, FRACTION, INTERVAL, WARMUP = 60_000, 3, 0.3, 2, 1
OUT = round(FRACTION * SAMPLES)
NEVER = 4294967295
TIE, SUBSET, KEEP = 7, 9, 11
failures = 0
con = duckdb.connect()


def mix(x):
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def register(name, purpose, epoch):
    """The keyed draw of every sample, as a table."""
    with np.errstate(over="ignore"):
        key = mix(mix(np.array([SEED], np.uint64)) ^ np.uint64(purpose))
        draws = mix(mix(key ^ np.uint64(epoch)) ^ np.arange(SAMPLES, dtype=np.uint64))
    con.register(name, pa.table({"sample": np.arange(SAMPLES, dtype=np.uint32), "draw": draws}))


def compare(what, expected, found):
    global failures
    difference = con.execute(
        f"select count(*) from ((({expected}) except all ({found})) union all (({found}) except all ({expected})))"
    ).fetchall()[0][0]
    rows = con.execute(f"select count(*) from ({expected})").fetchall()[0][0]
    print(f"{'ok' if difference == 0 else 'DIFFERENT'}: {what}: {rows} rows, {difference} of them different", flush=True)
    failures += difference > 0


def keys(policy, scores, epoch):
    """A query: what every sample is ranked by at the decision for an epoch."""
    before = f"from {scores} where epoch < {epoch}"
    if policy in ("forgetting", "one-shot"):
        return f"""select sample, case when bool_or(correct) then count(*) filter (before and not correct) else {NEVER} end
            as key from (select sample, correct, lag(correct) over (partition by sample order by epoch, step) as before
            {before}) group by sample"""
    column = {"loss": "loss", "infobatch": "loss", "error-norm": "error_norm"}.get(policy)
    if column:
        return f"select sample, arg_max({column}, (epoch, step)) as key {before} group by sample"
    register("subset", SUBSET, epoch)
    return "select sample, draw as key from subset"


def bits(policy):
    """How a key is written."""
    if policy == "random":
        return lambda keys: (keys >> np.uint64(32)).astype(np.uint32)
    if policy in ("forgetting", "one-shot"):
        return lambda keys: keys.astype(np.uint32)
    return lambda keys: np.abs(keys.astype(np.float32)).view(np.uint32)


def decide(policy, scores):
    """Fills the table `decided` (epoch, sample, diff, key, weight)."""
    end = int((0.875 if policy == "infobatch" else 0.8) * args.epochs) + 1
    decides = {epoch for epoch in range(1, args.epochs) if epoch >= WARMUP and (epoch - WARMUP) % INTERVAL == 0}
    if policy == "one-shot":
        decides = {max(1, int(0.4375 * args.epochs + 0.5))}
    everyone = np.arange(SAMPLES)
    weights = np.ones(SAMPLES, np.float32)
    rows = [(np.zeros(SAMPLES), everyone, np.ones(SAMPLES), np.zeros(SAMPLES), weights.copy())]
    register("tie", TIE, 0)
    for epoch in range(1, args.epochs):
        if epoch == end:
            after, key = np.ones(SAMPLES, np.float32), np.zeros(SAMPLES, np.uint32)
        elif epoch in decides and epoch < end:
            con.execute(f"create or replace table keys as {keys(policy, scores, epoch)}")
            key = bits(policy)(con.execute("select key from keys order by sample").fetchnumpy()["key"])
            after = np.ones(SAMPLES, np.float32)
            if policy == "infobatch":
                register("keep", KEEP, epoch)
                low = con.execute("""select sample, draw from keys join keep using (sample)
                    where key < (select avg(key::double) from keys)""").fetchnumpy()
                kept = (low["draw"] >> np.uint64(11)) < np.float64((1 - FRACTION) * 2.0**53)
                after[low["sample"]] = np.where(kept, np.float32(1 / (1 - FRACTION)), np.nan)
            else:
                lowest = con.execute(f"""select sample from keys join tie using (sample)
                    order by key, draw, sample limit {OUT}""").fetchnumpy()
                after[lowest["sample"]] = np.nan
        else:
            continue
        if epoch == end and policy == "infobatch":
            # Who only changes weight is written with the key by which it was not ranked.
            key = np.zeros(SAMPLES, np.uint32)
        moved = ~((weights == after) | (np.isnan(weights) & np.isnan(after)))
        for diff, of in ((-1, weights), (1, after)):
            some = moved & ~np.isnan(of)
            count = some.sum()
            shown = key[some] if diff < 0 else np.zeros(count)
            rows.append((np.full(count, epoch), everyone[some], np.full(count, diff), shown, of[some]))
        weights = after
    columns = [np.concatenate(column) for column in zip(*rows)]
    kinds = (np.uint32, np.uint32, np.int8, np.uint32, np.float32)
    names = ("epoch", "sample", "diff", "key", "weight")
    con.register("decided", pa.table({name: column.astype(kind) for name, column, kind in zip(names, columns, kinds)}))


for policy in args.policies.split(","):
    run = args.dir / policy
    if not run.exists():
        words = [f"sieve.policy={policy}", f"sieve.fraction={FRACTION}", f"train.epochs={args.epochs}", f"seed={SEED}"]
        if policy != "one-shot":
            words += [f"sieve.interval={INTERVAL}", f"sieve.warmup={WARMUP}"]
        if policy != "infobatch":
            words.append("sieve.until=0.8")
        fixed = ["model.name=lenet5", "mask.sparsity=0.6", "freeze.policy=none", "train.learning_rate=0.05"]
        command = [args.spfde, "train", *fixed, *words, "--run-dir", run, "--workers", str(args.workers), "--no-dense"]
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    decide(policy, f"read_parquet('{run}/trace/scores/*.parquet')")
    names = "epoch, sample, diff, key, weight"
    compare(f"{policy}, decisions", f"select {names} from decided", f"select {names} from read_parquet('{run}/trace/sieves/*.parquet')")
    if policy == "one-shot":
        # Toneva's order of removal: sorted by count, and cut.
        at = max(1, int(0.4375 * args.epochs + 0.5))
        con.execute(f"create or replace table counts as {keys(policy, f'read_parquet({str(run)!r} || {chr(39)}/trace/scores/*.parquet{chr(39)})', at)}")
        compare("one-shot, counts of those removed", f"select count(*)::bigint as n from counts join (select sample, key from read_parquet('{run}/trace/sieves/*.parquet') where diff < 0) r using (sample) where r.key = counts.key",
                f"select {OUT}::bigint as n")
        kept, removed = con.execute(f"""select min(key) filter (not out), max(key) filter (out) from (select key, sample in
            (select sample from read_parquet('{run}/trace/sieves/*.parquet') where diff < 0) as out from counts)""").fetchall()[0]
        print(f"one-shot removes counts up to {removed} and keeps counts from {kept}")
        failures += removed > kept
sys.exit(1 if failures else 0)
