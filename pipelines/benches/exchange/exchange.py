#!/usr/bin/env python3
"""Takes networks from spfde to PyTorch and onnxruntime, and from PyTorch to spfde, and compares what they compute.

Needs Python 3.10 or newer, `pip install torch onnxruntime safetensors pyarrow` and `cargo build --release`:

    cargo build --release
    python pipelines/benches/exchange/exchange.py

Each model trains for one epoch on Fashion-MNIST, large ones on a fiftieth of it. The script of the guide
(pipelines/src/guide/trained_networks.md) loads the exported file in PyTorch; onnxruntime loads the graph. Their logits are compared with those of spfde on 1 000 test
images, but for a number that is the same for all classes of an image: spfde prints probabilities. Then a network that
PyTorch has drawn goes to spfde (`model.weights`), trains there with a learning rate of 0, and comes back.
"""
import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "pipelines" / "python"))
from spfde_models import LeNet5, Mlp, ResNet, Vgg  # noqa: E402

IMAGES = 1000
TOLERANCE = 1e-4
# A network with every operation that no other here has.
LAYERS = """[{ patches = 5 }, { convolution = 12, kernel = 1, name = "first" }, { block = "one" },
    { convolution = 36, kernel = 1, name = "three" }, { attention = 2 }, { dropout = 0.2 }, { sum = "first" },
    { layer_norm = true }, { convolution = 12, kernel = 3, depthwise = true }, { gelu = true, name = "bent" },
    { concatenate = ["bent", "three"] }, { block = "two" }, { linear = 20 }, { gelu = true }, { layer_norm = true },
    { linear = 10 }]""".replace("\n", " ")
# The same network in PyTorch, if there is one, and how spfde is told of it.
FEW = ["sieve.policy=random", "sieve.fraction=0.98"]
MODELS = {
    "resnet20": (lambda: ResNet(1, 10), ["model.name=resnet20"]),
    "vgg16": (lambda: Vgg(1, 10), ["model.name=vgg16", *FEW]),
    "lenet5": (lambda: LeNet5(1, 10), ["model.name=lenet5"]),
    "mlp": (lambda: Mlp(28 * 28, 10), ["model.name=mlp"]),
    "vit": (None, ["model.name=vit", *FEW]),
    "all other operations": (None, [f"model.layers={LAYERS}"]),
}


def run(program, *words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"spfde {' '.join(map(str, words))}\nended with exit code {done.returncode}:\n{done.stderr}")
    return done.stdout


def pixels():
    """Test images as numbers from 0 to 1."""
    table = pq.read_table(ROOT / "data" / "fashion-mnist" / "test.parquet", columns=["image"])
    images = [np.frombuffer(image, "u1") for image in table["image"][:IMAGES].to_pylist()]
    return (np.stack(images).reshape(-1, 1, 28, 28) / 255).astype("f4")


def logarithms(logits):
    """Logits without the number that is the same for all classes."""
    logits = np.asarray(logits, "f8")
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def of_spfde(program, directory):
    lines = run(program, "predict", directory, "--data", "fashion-mnist", "--json").splitlines()[:IMAGES]
    return np.log([json.loads(line)["probabilities"] for line in lines])


def script(file, images, net):
    """Runs the script of the guide with another file and network; its logits."""
    page = (ROOT / "pipelines" / "src" / "guide" / "trained_networks.md").read_text()
    code = re.search(r"```python\n(import torch\n.*?)```", page, re.DOTALL)[1]
    code = code.replace('"shoes.safetensors"', repr(str(file))).replace("ResNet(1, 10)", "net")
    names = {"net": net, "pixels": torch.from_numpy(images)}
    exec(code, names)
    return names["logits"].detach().numpy()


def there(program, scratch, model, images):
    """From spfde to the others: the greatest distances of logits."""
    directory, file, graph = scratch / model, scratch / f"{model}.safetensors", scratch / f"{model}.onnx"
    net, words = MODELS[model]
    run(program, "train", *words, "train.storage=f32", "train.epochs=1", "--quiet", "--run-dir", directory)
    run(program, "export", directory, "--out", graph)
    own = of_spfde(program, directory)
    session = onnxruntime.InferenceSession(str(graph))
    (logits,) = session.run(None, {"pixels": images})
    found = [np.abs(logarithms(logits) - own).max()]
    if net is None:
        return [None, *found]
    run(program, "export", directory, "--out", file)
    return [np.abs(logarithms(script(file, images, net())) - own).max(), *found]


def back(program, scratch, model, images):
    """From PyTorch to spfde and back: the greatest distance of logits."""
    torch.manual_seed(1)
    make, words = MODELS[model]
    if make is None:
        return None
    net = make()
    drawn, directory, file = scratch / f"{model}-drawn.safetensors", scratch / f"{model}-2", scratch / f"{model}-2.safetensors"
    net.train()(torch.randn(64, 1, 28, 28))  # so that running statistics are other than 0 and 1
    save_file(net.state_dict(), str(drawn))
    still = ["mask.policy=dense", "freeze.policy=none", "train.learning_rate=0", "train.weight_decay=0", "train.storage=f32"]
    rest = [f"model.weights={drawn}", "train.epochs=1", "--quiet", "--run-dir", directory]
    run(program, "train", *words, *still, *rest)
    run(program, "export", directory, "--out", file)
    own = of_spfde(program, directory)
    # Running statistics of batch norms move without a learning rate, too; all else has to be what it was.
    state, moved = net.state_dict(), load_file(str(file))
    for name, array in moved.items():
        if "running" in name:
            state[name] = array
        elif not torch.equal(array, state[name]):
            sys.exit(f"{model}: {name} is not what PyTorch had")
    net.load_state_dict(state)
    mean, deviation = normalization(file)
    logits = net.eval()((torch.from_numpy(images) - mean) / deviation).detach().numpy()
    return np.abs(logarithms(logits) - own).max()


def normalization(file):
    from safetensors import safe_open

    with safe_open(str(file), "pt") as opened:
        known = opened.metadata()
    return (float(known[f"spfde.{key}"]) for key in ("mean", "deviation"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spfde", default=ROOT / "target" / "release" / "spfde", type=Path, help="the program")
    parser.add_argument("models", nargs="*", help="which models: all of them unless some are named")
    options = parser.parse_args()
    images, worst = pixels(), 0.0
    print("| model | PyTorch | onnxruntime | PyTorch, there and back |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as scratch:
        for model in options.models or MODELS:
            found = there(options.spfde, Path(scratch), model, images)
            found.append(back(options.spfde, Path(scratch), model, images))
            worst = max(worst, *(distance for distance in found if distance is not None))
            told = ["—" if distance is None else f"{distance:.1e}" for distance in found]
            print(f"| {model} | {' | '.join(told)} |", flush=True)
    if worst > TOLERANCE:
        sys.exit(f"logits differ by {worst:.1e}, more than {TOLERANCE}")


if __name__ == "__main__":
    main()
