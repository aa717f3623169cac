"""How much faster two workers train than one.

    python3 scaling.py SPFDE [ROUNDS [key=value ...]]

A round times the same steps (`spfde bench`) on one worker and on two. The two take turns of a second and a
half, in one order and in the other round by round: while one works, the other is stopped (SIGSTOP), so that
a machine whose speed drifts is compared with itself. The step in which one is stopped, and the one after it,
which begins with cold caches, are left out. Each round prints what share of the cores' time other virtual
machines took, and the ratio of the median steps; the last line has its median over the rounds, and the ratio
of the fastest steps of all rounds. It needs two idle cores and a Unix.
"""

import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

NETWORK = ["model.name=resnet32", "data.shape=3x32x32"]
WAYS = ["one worker", "two workers"]

# Seconds.
TURN = 1.5
STEPS = 80


def bench(program, words, workers, steps):
    """The command that times steps."""
    return [program, "bench", *words, "--no-dense", "--steps", str(steps), "--json",
            "--workers", str(workers)]


def ticks():
    """Ticks of all cores so far: stolen by other virtual machines, and all (Linux; 0 elsewhere)."""
    try:
        fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    except OSError:
        return 0, 1
    return fields[7], sum(fields)


class Way:
    """A way to train: a process that works and stops, and prints what was measured."""

    def __init__(self, command):
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdout=self.output)

    def turn(self):
        """Works for a while, or to its end; whether that was it."""
        self.signal(signal.SIGCONT)
        until = time.monotonic() + TURN
        while time.monotonic() < until:
            if self.process.poll() is not None:
                return True
            time.sleep(0.01)
        self.signal(signal.SIGSTOP)
        return False

    def signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def found(self):
        if self.process.returncode != 0:
            sys.exit(f"{self.process.args} ended with {self.process.returncode}")
        self.output.seek(0)
        return json.loads(self.output.read())


def round_of(program, words, swap):
    """One worker and two; two do twice as many steps, to be as long at it."""
    commands = [bench(program, words, 1, STEPS), bench(program, words, 2, 2 * STEPS)]
    ways = {}
    try:
        for number in [1, 0] if swap else [0, 1]:
            # It is ready, or nearly so, before the next one starts.
            ways[number] = Way(commands[number])
            ways[number].turn()
        working = list(ways.values())
        while working:
            working = [way for way in working if not way.turn()]
    finally:
        for way in ways.values():
            way.signal(signal.SIGKILL)
    return [ways[number].found() for number in range(len(commands))]


def undisturbed(steps):
    """The steps but those in which the program was stopped (longer than a turn), and those after them."""
    return [step for before, step in zip([TURN, *steps], steps) if before < TURN and step < TURN]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    words = sys.argv[3:] or NETWORK
    ratios, fastest = [], []
    for number in range(rounds):
        before = ticks()
        found = round_of(program, words, number % 2 == 1)
        stolen, all_ticks = (after - start for start, after in zip(before, ticks()))
        steps = [undisturbed(one["step_seconds"]) for one in found]
        seconds = [statistics.median(one) for one in steps]
        fastest.append([min(one) for one in steps])
        ratios.append([seconds[0] / other for other in seconds[1:]])
        words_of = ", ".join(f"{way} {1e3 * second:.1f} ms" for way, second in zip(WAYS, seconds))
        print(f"round {number + 1}: {words_of}: {ratios[-1][0]:.2f} times as fast"
              f" ({100 * stolen / max(all_ticks, 1):.1f} % stolen)", flush=True)
    least = [min(column) for column in zip(*fastest)]
    for way, of_way, second in zip(WAYS[1:], zip(*ratios), least[1:]):
        print(f"{way}: {statistics.median(of_way):.2f} times as fast (median); "
              f"fastest steps {least[0] / second:.2f}")


main()
