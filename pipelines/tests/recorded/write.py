"""Writes `scores/`, `gradients/` and `layers.toml`, which tests replay: a small network of PyTorch, recorded by
`pipelines/python/spfde_recorder.py`.

    cd pipelines/tests/recorded && rm -r scores gradients && python write.py
"""

import sys

import torch

sys.path.insert(0, "../../python")
from spfde_recorder import Recorder  # noqa: E402

torch.manual_seed(0)
inputs = torch.randn(200, 8)
labels = (inputs[:, 0] > 0).long() + 2 * (inputs[:, 1] > 0).long()
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
with Recorder(".") as recorder:
    recorder.layers(model, inputs[:1])
    for epoch in range(3):
        for step, index in enumerate(torch.randperm(200).split(50)):
            logits = model(inputs[index])
            losses = torch.nn.functional.cross_entropy(logits, labels[index], reduction="none")
            recorder.scores(epoch, step, index, losses, logits.argmax(1) == labels[index])
            optimizer.zero_grad()
            losses.mean().backward()
            recorder.gradients(epoch, step, model)
            optimizer.step()
