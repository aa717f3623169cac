"""How much faster two workers train than one, and two processes than one.

    python3 scaling.py SPFDE [ROUNDS [key=value ...]]

Each round times the same steps (`spfde bench`) on one worker, on two, and in two processes of one worker on loopback, in turn,
so that a machine whose speed drifts is compared with itself; it says what share of the cores' time other virtual machines
took. The ratios are those of each round's median steps; the last line
has their medians over the rounds, and the ratio of the fastest steps of all rounds. It needs two idle cores.
"""

import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile

NETWORK = ["model.name=resnet32", "data.shape=3x32x32"]
WAYS = ["one worker", "two workers", "two processes"]


def bench(program, words, workers):
    """The command that times steps."""
    return [program, "bench", *words, "--no-dense", "--steps", "40", "--json", "--workers", str(workers)]


def ticks():
    """Ticks of all cores so far: stolen by other virtual machines, and all (Linux; elsewhere nobody knows)."""
    try:
        fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    except OSError:
        return 0, 1
    return fields[7], sum(fields)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def measured(command, others=()):
    """What a command prints, while others run beside it."""
    beside = [subprocess.Popen(other, stdout=subprocess.DEVNULL) for other in others]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    for process in beside:
        if process.wait() != 0:
            sys.exit(f"{process.args} ended with {process.returncode}")
    return json.loads(output)


def round_of(program, words, place):
    """One, two, two processes."""
    hosts = pathlib.Path(place, "hosts")
    hosts.write_text("".join(f"127.0.0.1:{free_port()}\n" for _ in range(2)))
    process = lambda number: [*bench(program, words, 1), "--hosts", str(hosts), "--process", str(number)]
    return [
        measured(bench(program, words, 1)),
        measured(bench(program, words, 2)),
        measured(process(0), [process(1)]),
    ]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    words = sys.argv[3:] or NETWORK
    ratios, fastest = [], []
    with tempfile.TemporaryDirectory() as place:
        for number in range(rounds):
            before = ticks()
            found = round_of(program, words, place)
            stolen, all_ticks = (after - start for start, after in zip(before, ticks()))
            seconds = [one["seconds_per_step"] for one in found]
            fastest.append([one["seconds_per_step_min"] for one in found])
            ratios.append([seconds[0] / other for other in seconds[1:]])
            steps = ", ".join(f"{way} {1e3 * second:.1f} ms" for way, second in zip(WAYS, seconds))
            print(f"round {number + 1}: {steps}: {ratios[-1][0]:.2f} and {ratios[-1][1]:.2f} times as fast"
                  f" ({100 * stolen / max(all_ticks, 1):.1f} % stolen)", flush=True)
    least = [min(column) for column in zip(*fastest)]
    for way, of_way, second in zip(WAYS[1:], zip(*ratios), least[1:]):
        print(f"{way}: {statistics.median(of_way):.2f} times as fast (median); fastest steps {least[0] / second:.2f}")


main()
