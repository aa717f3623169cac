"""What one more epoch costs a process that follows a run, and what starting over costs.

    python3 follow.py SPFDE RUN [key=value ...] [--grid key=a,b,c ...]

SPFDE is the program, RUN a finished run. A copy of the run's directory is made to grow: its lock is held here, and its
manifest names one epoch more whenever the process that follows has caught up. CPU seconds of all its threads, from
/proc, so Linux only. The work between two epochs is looking every 0.1 s whether there is more: it counts, too.
"""

import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(process):
    """CPU seconds of a process so far."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def epochs_of(manifest, count):
    """The manifest as it was when `count` epochs were committed."""
    grown = dict(manifest, epochs_reached=count, finished=count == manifest["epochs"], checkpoints=[])
    # The form without a seal, which is the BLAKE3 of the manifest's own text.
    grown["version"] = 1
    grown.pop("seal", None)
    grown["segments"] = [segment for segment in manifest["segments"] if segment["epoch"] < count]
    return grown


def commit(run, manifest):
    part = run / "manifest.json.part"
    part.write_text(json.dumps(manifest))
    part.rename(run / "manifest.json")


def follow(program, run, manifest, words):
    """CPU seconds of each epoch."""
    with open(run / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        commit(run, epochs_of(manifest, 1))
        command = [program, "replay", "--follow", str(run), *words]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds, before = [], 0.0
        for count in range(1, manifest["epochs"] + 1):
            if count > 1:
                commit(run, epochs_of(manifest, count))
            # Idle for half a second: it has caught up.
            now, idle = cpu(process), 0
            while idle < 5:
                time.sleep(0.1)
                after = cpu(process)
                idle = idle + 1 if after - now <= 1 / TICKS else 0
                now = after
                if process.poll() is not None:
                    break
                if count == manifest["epochs"] and idle >= 3:
                    break
            seconds.append(now - before)
            before = now
        process.terminate()
        process.wait()
    return seconds


def start_over(program, run, words):
    """CPU seconds of a replay from the beginning."""
    before = os.times()
    subprocess.run([program, "replay", str(run), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main():
    program, source, *words = sys.argv[1:]
    source = pathlib.Path(source)
    manifest = json.loads((source / "manifest.json").read_text())
    with tempfile.TemporaryDirectory() as place:
        run = pathlib.Path(place) / "run"
        run.mkdir()
        (run / "config.toml").write_text((source / "config.toml").read_text())
        shutil.copytree(source / "trace", run / "trace")
        each = follow(program, run, manifest, words)
    over = min(start_over(program, source, words) for _ in range(3))
    # The first epoch has the start of the program in it, the last its end.
    later = each[1:-1]
    mean = sum(later) / len(later)
    print(f"{manifest['epochs']} epochs; following, CPU seconds an epoch: mean {mean:.4f}, most {max(later):.2f}")
    print(f"starting over, CPU seconds (least of 3): {over:.2f}; one epoch more costs 1/{over / max(mean, 1e-9):.1f} of it")


main()
