#!/usr/bin/env python3
"""Is what `spfde replay` decides what a program in SQL decides from the same Parquet files?

  python tests/duckdb/replay_truth.py target/release/spfde DIR [--epochs 8]

Trains two small runs into DIR (one that observes everything, one that does not), replays them under other policies of
each family, decides the same with DuckDB, and compares row by row. Prints one line for each comparison; exit code 0 if
all agree. Needs `pip install duckdb numpy pyarrow`. Not part of the tests that cargo runs: takes a few minutes.

Only the keyed draws are computed outside of SQL (the finaliser of SplitMix64, see data/src/random.rs).
"""
import argparse
import shutil
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
args = ap.parse_args()
SAMPLES, SEED, EPOCHS = 60_000, 3, args.epochs
failures = 0


def spfde(*words):
    subprocess.run([args.spfde, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def table(run, stream):
    return f"read_parquet('{args.dir / run / 'trace' / stream}/*.parquet')"


def compare(what, expected, found):
    global failures
    difference = con.execute(
        f"select count(*) from ((({expected}) except all ({found})) union all (({found}) except all ({expected})))"
    ).fetchall()[0][0]
    rows = con.execute(f"select count(*) from ({expected})").fetchall()[0][0]
    print(f"{'ok' if difference == 0 else 'DIFFERENT'}: {what}: {rows} rows, {difference} of them different")
    failures += difference > 0


def mix(x):
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def draws(purpose, epoch):
    """The keyed draw of every sample."""
    with np.errstate(over="ignore"):
        key = mix(mix(np.array([SEED], np.uint64)) ^ np.uint64(purpose))
        return mix(mix(key ^ np.uint64(epoch)) ^ np.arange(SAMPLES, dtype=np.uint64))


def register(name, purpose, epoch):
    con.register(name, pa.table({"sample": np.arange(SAMPLES, dtype=np.uint32), "draw": draws(purpose, epoch)}))


con = duckdb.connect()
train = ["train", "model.name=lenet5", "mask.sparsity=0.6", "mask.interval=2", f"train.epochs={EPOCHS}", f"seed={SEED}",
         "freeze.flops_reduction=0.15", "sieve.fraction=0.15", "train.learning_rate=0.05"]
for observe in ["active", "full"]:
    if not (args.dir / observe).exists():
        spfde(*train, f"trace.observe={observe}", "--run-dir", args.dir / observe)


def replay(run, name, *words):
    shutil.rmtree(args.dir / name, ignore_errors=True)
    spfde("replay", args.dir / run, *words, "--out", args.dir / name)


# The sieve: `circular` with another fraction and interval, decided epoch by epoch.
def circular(run, fraction, interval):
    """Fills the table `decided` (epoch, sample, diff, key)."""
    out = round(fraction * SAMPLES)
    exchanged = round(fraction * (SAMPLES - out))
    register("outside", 6, 0)
    register("tie", 7, 0)
    con.execute("create or replace table decided (epoch uinteger, sample uinteger, diff tinyint, key uinteger)")
    # The order of the queue: a round, and a draw within it.
    con.execute(f"""create or replace table queue as
        select sample, 0 as round, draw from outside order by draw, sample limit {out}""")
    con.execute("create or replace table waiting as select sample from queue")
    con.execute("""create or replace table active as
        select sample, 0::uinteger as since from outside where sample not in (select sample from queue)""")
    con.execute("insert into decided select 0, sample, 1, 0 from active")
    for epoch in range(interval, EPOCHS, interval):
        con.execute(f"""create or replace table keys as
            with shown as (select sample, correct,
                    lag(correct) over (partition by sample order by epoch, step) as before
                from {table(run, 'scores')} where epoch >= {epoch - interval} and epoch < {epoch})
            select sample, case when bool_or(correct) then count(*) filter (before and not correct) else 4294967295 end
                as key from shown group by sample""")
        con.execute(f"""create or replace table leaving as
            select sample, coalesce(key, 4294967295)::uinteger as key
            from active left join keys using (sample) join tie using (sample)
            order by coalesce(key, 4294967295), since, draw, sample limit {exchanged}""")
        con.execute(f"create or replace table entering as select sample from queue order by round, draw, sample limit {exchanged}")
        con.execute(f"insert into decided select {epoch}, sample, -1, key from leaving")
        con.execute(f"insert into decided select {epoch}, sample, 1, 0 from entering")
        con.execute("delete from active where sample in (select sample from leaving)")
        con.execute(f"insert into active select sample, {epoch} from entering")
        con.execute("delete from queue where sample in (select sample from entering)")
        con.execute("delete from waiting where sample in (select sample from entering)")
        register("queued", 8, epoch)
        con.execute(f"insert into queue select sample, {epoch}, draw from leaving join queued using (sample)")
        if con.execute("select count(*) from waiting").fetchall()[0][0] == 0:
            con.execute(f"""create or replace table queue as
                select sample, {epoch} as round, queued.draw as draw from queue join queued using (sample)""")


FOUND = "select epoch, sample, diff, key from {}"
replay("full", "circular", "sieve.fraction=0.4", "sieve.interval=3")
circular("full", 0.4, 3)
compare("circular, decisions", "select * from decided", FOUND.format(table("circular", "sieves")))
NONE = "select count(*)::bigint from {} where samples > 0 or norms > 0"
compare("circular on a full record, nothing censored", "select 0::bigint", NONE.format(table("circular", "censored")))

# What an active record lacks.
replay("active", "lacking", "sieve.fraction=0.4", "sieve.interval=3", "freeze.policy=none")
circular("active", 0.4, 3)
compare("circular on an active record, decisions", "select * from decided", FOUND.format(table("lacking", "sieves")))
compare("scores that an active record lacks",
        f"""with epochs as (select range::uinteger as epoch from range({EPOCHS})),
            members as (select epochs.epoch, sample from epochs join decided on decided.epoch <= epochs.epoch
                group by all having sum(diff) > 0)
        select epochs.epoch, count(members.sample)::uinteger from epochs left join
            (select epoch, sample from members anti join {table('active', 'scores')} using (epoch, sample)) members
            using (epoch) group by all""",
        f"select epoch, samples from {table('lacking', 'censored')}")
compare("norms that an active record lacks",
        f"""with steps as (select distinct epoch, step from {table('active', 'gradients')}),
            layers as (select distinct layer from {table('active', 'layers')}),
            wanted as (select epoch, step, layer from steps, layers)
        select epochs.epoch, count(lacking.layer)::ubigint from
            (select range::uinteger as epoch from range({EPOCHS})) epochs left join
            (select * from wanted anti join {table('active', 'gradients')} using (epoch, step, layer)) lacking
            using (epoch) group by all""",
        f"select epoch, norms from {table('lacking', 'censored')}")

# Freezing by gradient norms; every layer of lenet5 but the last is a block. Windows are two epochs.
for threshold, patience in [(0.3, 1), (0.6, 1), (1.0, 2)]:
    name = f"norms-{threshold}-{patience}"
    replay("full", name, "freeze.policy=gradient-norm", f"freeze.threshold={threshold}",
           f"freeze.patience={patience}", "freeze.flops_reduction=0.99")
    con.execute(f"""create or replace table means as
        with nonzero as (select epoch, layer, nonzero from {table('full', 'layers')}),
            steps as (select g.epoch // 2 as window, layer, sqrt(l2::double ** 2) / sqrt(nonzero) as value,
                row_number() over (partition by g.epoch // 2, layer order by g.epoch, step) as place,
                count(*) over (partition by g.epoch // 2, layer) as steps
                from {table('full', 'gradients')} g join nonzero using (epoch, layer))
        select "window", layer, avg(value) as mean from steps where place > ceil(0.25 * steps) group by all""")
    calm = con.execute(f"""select layer, "window" from (select *, lag(mean) over (partition by layer order by "window") as before
        from means) where abs(mean - before) / before < {threshold}""").fetchall()
    calm, decided = set(calm), []
    for window in range(1, EPOCHS // 2 + 1):
        epoch, block = 2 * window, len(decided)
        if epoch < EPOCHS and block < 4 and all((block, window - back) in calm for back in range(1, patience + 1)):
            decided.append((epoch, block))
    values = ", ".join(f"({epoch}::uinteger, {layer}::usmallint, 1::tinyint)" for epoch, layer in decided)
    expected = f"select * from (values {values})" if decided else "select 0::uinteger, 0::usmallint, 0::tinyint limit 0"
    compare(f"gradient-norm, threshold {threshold}, patience {patience}", expected,
            f"select epoch, layer, diff from {table(name, 'freezes')}")

# Costs under another mask: 20 % of the weights of all layers but the first and the last.
replay("full", "static", "mask.policy=static", "mask.sparsity=0.8", "freeze.policy=none")
compare("costs of a static mask",
        f"""with layers as (select layer, weights, case layer when 0 then 784 when 1 then 100 else 1 end as positions,
                case when layer in (0, 4) then weights else round(0.2 * weights) end as existing
                from {table('full', 'layers')} where epoch = 0)
        select epoch, sum(2 * existing * positions * active_samples)::ubigint as forward,
            sum(case layer when 0 then 2 else 4 end * existing * positions * active_samples)::ubigint as backward
        from {table('full', 'epochs')}, layers group by epoch, active_samples""",
        f"select epoch, forward_flops, backward_flops from {table('static', 'epochs')}")
replay("full", "own")
compare("costs of the run under its own masks, from the deltas",
        f"""with layers as (select layer, weights, case layer when 0 then 784 when 1 then 100 else 1 end as positions
                from {table('full', 'layers')} where epoch = 0),
            masks as (select e.epoch, layer, sum(diff) as existing from {table('full', 'epochs')} e
                join {table('full', 'masks')} m on m.epoch <= e.epoch group by all)
        select e.epoch, sum(2 * coalesce(masks.existing, weights) * positions * active_samples)::ubigint
        from {table('full', 'epochs')} e cross join layers left join masks on masks.epoch = e.epoch
            and masks.layer = layers.layer group by e.epoch""",
        f"select epoch, forward_flops from {table('own', 'epochs')}")
compare("decisions of the run under its own policies", FOUND.format(table("full", "sieves")),
        FOUND.format(table("own", "sieves")))
sys.exit(1 if failures else 0)
