"""Records a training that needs no PyTorch with `spfde_recorder.py`, and checks what `spfde replay` makes of it.

    python plain.py record DIRECTORY
    spfde replay --scores DIRECTORY/scores --gradients DIRECTORY/gradients SETTINGS --json | python plain.py check

The model has the methods of a `torch.nn.Module` that the recorder calls.
"""

import json
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from spfde_recorder import Recorder  # noqa: E402

EPOCHS, STEPS, SAMPLES = 4, 5, 20


class Array:
    """Numbers in a shape: what the recorder asks of a tensor."""

    def __init__(self, shape, numbers=None):
        self.shape, self.grad = shape, None
        self.numbers = [1.0] * math.prod(shape) if numbers is None else numbers

    def dim(self):
        return len(self.shape)

    def detach(self):
        return self

    def abs(self):
        return Array(self.shape, [abs(number) for number in self.numbers])

    def norm(self, _):
        return math.sqrt(sum(number * number for number in self.numbers))

    def sum(self):
        return sum(self.numbers)

    def __ne__(self, other):
        return Array(self.shape, [number != other for number in self.numbers])


class Module:
    """A layer with a weight, or a model of some layers."""

    def __init__(self, weight=None, output=(), **layers):
        self.weight, self.output, self.layers, self.hooks, self.training = weight, output, layers, [], True

    def named_modules(self):
        return [("", self), *self.layers.items()]

    def named_parameters(self):
        return [(f"{name}.weight", layer.weight) for name, layer in self.layers.items()]

    def register_forward_hook(self, hook):
        self.hooks.append(hook)
        return self

    def remove(self):
        self.hooks.clear()

    def train(self, training):
        self.training = training

    def eval(self):
        self.training = False

    def __call__(self, value):
        output = Array((value.shape[0], *self.output))
        if self.layers:
            for layer in self.layers.values():
                output = value = layer(value)
        for hook in self.hooks:
            hook(self, (value,), output)
        return output


def record(directory):
    first = Module(Array((4, 3, 3, 3)), (4, 8, 8))
    model = Module(conv=first, shortcut=Module(Array((6, 4, 1, 1)), (6, 8, 8)), fc=Module(Array((2, 6)), (2,)))
    with Recorder(directory) as recorder:
        recorder.layers(model, Array((1, 3, 8, 8)))
        assert model.training, "the recorder leaves a model as it was"
        for epoch in range(EPOCHS):
            for step in range(STEPS):
                index = list(range(step, SAMPLES, STEPS))
                recorder.scores(epoch, step, index, [0.5] * len(index), [True] * len(index))
                for _, weight in model.named_parameters():
                    weight.grad = Array(weight.shape, [0.25] * len(weight.numbers))
                recorder.gradients(epoch, step, model)


def check(lines):
    scores, gradients = (json.loads(line) for line in lines)
    assert (scores["rows"], scores["samples"]) == (EPOCHS * SAMPLES, SAMPLES), scores
    assert gradients["gradients"]["norms"] == EPOCHS * STEPS * 3, gradients
    (member,) = gradients["members"]
    # Norms that never change have settled after two windows of an epoch; then a block more each window.
    frozen = {block["block"]: block["frozen"] for block in member["blocks"]}
    assert frozen == {"conv": [[2, None]], "shortcut": [[3, None]]}, frozen
    forward = 2 * (108 * 64 + 24 * 64 + 12)
    first, second, last = 2 * 108 * 64, 2 * 24 * 64, 2 * 12
    backward = 2 * (first + 2 * second + 2 * last) + (second + 2 * last) + last
    assert member["flops_per_sample"] == 4 * forward + backward, member


if __name__ == "__main__":
    if sys.argv[1] == "record":
        record(sys.argv[2])
    else:
        check(sys.stdin)
