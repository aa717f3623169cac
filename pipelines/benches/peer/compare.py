#!/usr/bin/env python3
"""Compares a training step of spfde with the same step in PyTorch, on this machine.

Needs Python 3.10 or newer, `pip install torch` (2.9.1 was used; on x86 the wheel brings several gigabytes of CUDA
packages that stay unused) and `cargo build --release`. Takes about half an hour with all rows; leave the machine alone
meanwhile: PyTorch's threads spin, and a second program that wants a core slows it down far more than that core's share.

    cargo build --release
    python pipelines/benches/peer/compare.py                     # all rows, with 1 and 2 threads
    python pipelines/benches/peer/compare.py --only "90 %" --threads 1 --repeats 5
    python pipelines/benches/peer/compare.py --storage bf16 --bf16     # activations of both in half the bytes

The two programs take turns, one process at a time, `--repeats` times. Each process reports the median of its own steps;
the table shows the median over the processes and the ratio of those medians. A step is forward, cross-entropy, backward
and SGD with momentum and weight decay on one batch of random images that is resident in memory. PyTorch runs eagerly,
dense, with channels last, its fastest mode on CPUs, as many threads as spfde has workers; the blocks that spfde freezes
run there without gradients, with running statistics, as they do in spfde. PyTorch gains nothing from zeros in its
weights, so one dense network is its answer to every sparsity.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CIFAR = [3, 32, 32]
GREY = [1, 28, 28]

# What to compare: a name, model, width, shape, sparsity (None: dense), frozen blocks.
ROWS = [
    ("resnet32 ×2, 80 %", "resnet32", 2, CIFAR, 0.80, 0),
    ("resnet32 ×2, 90 %", "resnet32", 2, CIFAR, 0.90, 0),
    ("resnet32 ×2, 95 %", "resnet32", 2, CIFAR, 0.95, 0),
    ("resnet32 ×2, 98 %", "resnet32", 2, CIFAR, 0.98, 0),
    ("resnet32 ×2, 90 %, 10 blocks frozen", "resnet32", 2, CIFAR, 0.90, 10),
    ("resnet32 ×2, dense", "resnet32", 2, CIFAR, None, 0),
    ("resnet32 ×1, 90 %", "resnet32", 1, CIFAR, 0.90, 0),
    ("mlp, 90 %", "mlp", 1, GREY, 0.90, 0),
]


def network(model, width, shape, frozen):
    """The network as spfde defines it, its first blocks without gradients."""
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.main = nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
                nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )
            changes = stride != 1 or inputs != outputs
            shortcut = [nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)]
            self.shortcut = nn.Sequential(*shortcut) if changes else nn.Identity()

        def forward(self, x):
            return torch.relu_(self.main(x) + self.shortcut(x))

    if model == "resnet32":
        channels = 16 * width
        stem = nn.Sequential(
            nn.Conv2d(shape[0], channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )
        blocks = []
        for stage in range(3):
            for position in range(5):
                outputs = 16 * width * 2**stage
                blocks.append(Residual(channels, outputs, 2 if stage > 0 and position == 0 else 1))
                channels = outputs
        # The stem belongs to the first block.
        blocks[0] = nn.Sequential(stem, blocks[0])
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    else:
        hidden, features = 1024 * width, shape[0] * shape[1] * shape[2]
        blocks = [
            nn.Sequential(nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(inplace=True)),
            nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(inplace=True)),
        ]
        head = nn.Linear(hidden, 10)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.front = nn.Sequential(*blocks[:frozen]).eval().requires_grad_(False)
            self.back = nn.Sequential(*blocks[frozen:], head)

        def forward(self, x):
            with torch.no_grad():
                x = self.front(x)
            return self.back(x)

    return Network()


def torch_step(options):
    """Times steps in this process; prints one JSON object."""
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    import resource

    import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    net = network(options.model, options.width, options.shape, options.frozen)
    images = torch.randn(options.batch, *options.shape)
    labels = torch.randint(0, 10, (options.batch,))
    if options.model != "mlp":
        net = net.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.01, momentum=0.9, weight_decay=1e-4)

    def step():
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bf16):
            loss = torch.nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        return time.perf_counter() - start

    warm_up = max(2, options.steps // 10)
    seconds = [step() for _ in range(warm_up + options.steps)][warm_up:]
    # Kibibytes on Linux.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    capability = torch.backends.cpu.get_cpu_capability()
    found = {"seconds_per_step": statistics.median(seconds), "peak_rss_bytes": peak, "instructions": capability}
    print(json.dumps(found))


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with exit code {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def spfde(options, row, threads):
    _, model, width, shape, sparsity, frozen = row
    words = [f"model.name={model}", f"model.width={width}", f"data.batch_size={options.batch}"]
    words.append("data.shape=" + "x".join(map(str, shape)))
    words.append("mask.policy=dense" if sparsity is None else f"mask.sparsity={sparsity}")
    words += [f"train.storage={options.storage}", f"train.kernel={options.kernel}"]
    words += ["train.optimizer=momentum", "train.weight_decay=0.0001"]
    flags = ["--workers", threads, "--frozen", frozen, "--no-dense", "--json"]
    return run([options.spfde, "bench", *words, *map(str, flags)])


def peer(options, row, threads):
    _, model, width, shape, _, frozen = row
    steps = 100 if model == "mlp" else 7
    command = [sys.executable, __file__, "--torch-step", "--model", model, "--width", width, "--frozen", frozen]
    command += ["--bf16"] if options.bf16 else []
    command += ["--shape", *shape, "--threads", threads, "--batch", options.batch, "--steps", steps]
    return run(list(map(str, command)))


def compare(options):
    print(f"batch {options.batch}; medians of {options.repeats} processes each; seconds a step\n")
    instructions = set()
    print("| step | threads | PyTorch | spfde | times faster | GB PyTorch | GB spfde | dataflow |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for row in ROWS:
        if options.only not in row[0]:
            continue
        for threads in options.threads_list:
            ours, theirs = [], []
            for _ in range(options.repeats):
                theirs.append(peer(options, row, threads))
                ours.append(spfde(options, row, threads))

            def middle(of, key):
                values = [one[key] for one in of if one[key] is not None]
                return statistics.median(values) if values else float("nan")

            precision = "bf16 autocast" if options.bf16 else "f32"
            instructions |= {f"PyTorch: {one['instructions']}, {precision}" for one in theirs}
            instructions |= {f"spfde: {one['kernel']}, {one['lanes']} lanes, {one['storage']}" for one in ours}
            slow, fast = middle(theirs, "seconds_per_step"), middle(ours, "seconds_per_step")
            memory = [middle(of, "peak_rss_bytes") / 1e9 for of in (theirs, ours)]
            share = middle(ours, "dataflow_share")
            print(
                f"| {row[0]} | {threads} | {slow:.4f} | {fast:.4f} | {slow / fast:.2f} "
                f"| {memory[0]:.2f} | {memory[1]:.2f} | {share:.2%} |",
                flush=True,
            )
    print("\n" + "; ".join(sorted(instructions)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    program = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    parser.add_argument("--spfde", default=Path(program) / "release" / "spfde", type=Path, help="the program")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, such as 1,2")
    parser.add_argument("--repeats", type=int, default=3, help="processes of each program for a row")
    parser.add_argument("--batch", type=int, default=128, help="samples in a batch")
    parser.add_argument("--only", default="", help="only rows whose name contains this")
    parser.add_argument("--bf16", action="store_true", help="PyTorch computes in bf16 (autocast)")
    parser.add_argument("--storage", default="f32", help="train.storage of spfde: f32 or bf16")
    parser.add_argument("--kernel", default="auto", help="train.kernel of spfde; ONEDNN_MAX_CPU_ISA limits PyTorch")
    # The rest is for the processes that this one starts.
    parser.add_argument("--torch-step", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    for name in ["--width", "--frozen", "--steps"]:
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--shape", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torch_step:
        options.threads = int(options.threads)
        torch_step(options)
        return
    options.threads_list = [int(threads) for threads in options.threads.split(",")]
    if not options.spfde.is_file():
        parser.error(f"{options.spfde} does not exist: `cargo build --release`, or name it with --spfde")
    compare(options)


if __name__ == "__main__":
    main()
