"""Records the training of any PyTorch network, for `spfde replay --scores DIR --gradients DIR`. Needs pyarrow only.

    recorder = Recorder("recorded")
    recorder.layers(model, images[:1])                              # an example, for the sizes of outputs
    for epoch in range(epochs):
        for step, (images, labels, index) in enumerate(loader):     # a data set that also gives each index
            logits = model(images)
            losses = cross_entropy(logits, labels, reduction="none")
            recorder.scores(epoch, step, index, losses, logits.argmax(1) == labels)
            losses.mean().backward()
            recorder.gradients(epoch, step, model)
            optimizer.step()
    recorder.close()

Rows are kept until their epoch is over, or there are a million of them. A file is written under another name, made
durable, and renamed: after a crash every file is whole, and only rows that were kept are lost.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Callable, Iterable

import pyarrow as pa
import pyarrow.parquet as pq

SCORES = pa.schema(
    [
        ("epoch", pa.uint32()),
        ("step", pa.uint32()),
        ("sample", pa.uint32()),
        ("loss", pa.float32()),
        ("correct", pa.bool_()),
    ]
)
GRADIENTS = pa.schema(
    [
        ("epoch", pa.uint32()),
        ("step", pa.uint32()),
        ("layer", pa.uint16()),
        ("name", pa.string()),
        ("l2", pa.float32()),
        ("l1", pa.float32()),
        ("nonzero", pa.uint32()),
    ]
)
ROWS = 1_000_000


class Recorder:
    """Writes `scores/*.parquet`, `gradients/*.parquet` and `layers.toml` below a directory that has none yet.

    Can be used in a `with` statement, which closes it.
    """

    def __init__(self, directory: str | os.PathLike[str], rows: int = ROWS) -> None:
        """Rows of an epoch beyond `rows` begin another file."""
        place = self._place = Path(directory)
        self._tables = {
            "scores": _Table(place / "scores", SCORES, rows),
            "gradients": _Table(place / "gradients", GRADIENTS, rows),
        }

    def scores(self, epoch: int, step: int, index: Any, loss: Any, correct: Any) -> None:
        """How the samples of one step did: their numbers, their losses, and whether they were right.

        Each is a tensor, an array or a list; all are equally long. Losses are those before the update, one for
        each sample (`reduction="none"`). Epochs and steps count from 0, and epochs do not go back.
        """
        columns = [_plain(index), _plain(loss), _plain(correct)]
        if len({len(column) for column in columns}) != 1:
            raise ValueError(f"index, loss and correct have {[len(column) for column in columns]} numbers")
        times = [[epoch] * len(columns[0]), [step] * len(columns[0])]
        self._tables["scores"].add(epoch, [*times, *columns])

    def gradients(self, epoch: int, step: int, model: Any) -> None:
        """The norms of the gradients of all weights of convolutions and linear layers, after the backward pass.

        A layer is a parameter with at least two dimensions and a gradient, numbered in the order of
        `model.named_parameters()`; one that is frozen has no row. `nonzero` counts its weights that are not 0.
        """
        rows: list[list[Any]] = []
        layers = (item for item in model.named_parameters() if item[1].dim() >= 2)
        for layer, (name, weight) in enumerate(layers):
            if weight.grad is not None:
                gradient = weight.grad.detach()
                norms = [float(gradient.norm(2)), float(gradient.abs().sum())]
                name = name.removesuffix(".weight")
                rows.append([epoch, step, layer, name, *norms, int((weight.detach() != 0).sum())])
        self._tables["gradients"].add(epoch, [list(column) for column in zip(*rows)])

    def layers(self, model: Any, example: Any, blocks: Iterable[str] = ()) -> None:
        """The layers that `gradients` numbers, in `layers.toml`, as `model(example)` finds their outputs.

        A layer belongs to the one of `blocks` that its name begins with, such as `layer1.0`, and else is a block of
        its own. Blocks freeze as one, front to back; the last layer is the classifier, which never freezes. A layer
        that gets the same tensor as the first of its block reads the block's input. The file can be written by hand.
        """
        seen: dict[Any, tuple[Any, Any]] = {}
        modules = dict(model.named_modules())
        keep: Callable[..., None] = lambda module, inputs, output: seen.setdefault(module, (inputs, output)) and None
        hooks = [module.register_forward_hook(keep) for module in modules.values()]
        training = model.training
        model.eval()
        model(example)
        model.train(training)
        for hook in hooks:
            hook.remove()
        weights = [(name, weight) for name, weight in model.named_parameters() if weight.dim() >= 2]
        prefixes, first, text = list(blocks), {}, []
        for number, (name, weight) in enumerate(weights):
            path, shape, name = name.rpartition(".")[0], list(weight.shape), name.removesuffix(".weight")
            inputs, output = seen.get(modules[path], ((None,), None))
            output = output[0] if isinstance(output, tuple) else output
            out, kernel = [1, 1] if output is None else list(output.shape), [math.prod(shape[2:-1]), *shape[-1:]]
            spatial = [math.prod(out[1:-1]), 1] if len(shape) == 2 else [math.prod(out[2:-1]), out[-1]]
            text += ["[[layer]]", f"name = {json.dumps(name)}", f"outputs = {shape[0]}", f"inputs = {shape[1]}"]
            text += [f'kind = "{"linear" if len(shape) == 2 else "convolution"}"', f"output = {spatial}"]
            text += [f"kernel = {kernel}"] if len(shape) > 2 else []
            text += [f"weights = {math.prod(shape)}"]
            if number + 1 < len(weights):
                block = next((one for one in prefixes if name == one or name.startswith(one + ".")), name)
                reads = first.setdefault(block, inputs[0]) is inputs[0] and inputs[0] is not None
                text += [f"block = {json.dumps(block)}", f"reads_block_input = {json.dumps(reads)}"]
        self._place.mkdir(parents=True, exist_ok=True)
        _whole(self._place / "layers.toml", lambda file: file.write(("\n".join(text) + "\n").encode()))

    def close(self) -> None:
        """Writes the rows that are still kept. Nothing can be recorded afterwards."""
        for table in self._tables.values():
            table.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Table:
    """The files of one table."""

    def __init__(self, directory: Path, schema: pa.Schema, rows: int) -> None:
        if any(directory.glob("*.parquet")):
            raise FileExistsError(f"{directory} has files of another training; choose another directory")
        self._directory, self._schema, self._rows = directory, schema, rows
        self._epoch, self._files, self._closed = 0, 0, False
        self._kept: list[pa.RecordBatch] = []

    def add(self, epoch: int, columns: list[Any]) -> None:
        """Keeps the rows of a step."""
        if self._closed:
            raise ValueError("the recorder is closed")
        if epoch < self._epoch:
            raise ValueError(f"epoch {epoch} comes after epoch {self._epoch}")
        if epoch > self._epoch:
            self._write()
            self._epoch, self._files = epoch, 0
        if columns:
            arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema)]
            self._kept.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
            if sum(batch.num_rows for batch in self._kept) >= self._rows:
                self._write()

    def close(self) -> None:
        if not self._closed:
            self._write()
            self._closed = True

    def _write(self) -> None:
        """Writes what is kept as one file, which has its name only when it is whole."""
        if not self._kept:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"e{self._epoch:05}-{self._files:03}.parquet"
        table = pa.Table.from_batches(self._kept)
        _whole(path, lambda file: pq.write_table(table, file, compression="zstd"))
        self._kept, self._files = [], self._files + 1


def _whole(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Writes a file, which has its name only when it is whole."""
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def _plain(numbers: Any) -> Any:
    """Numbers as pyarrow takes them: a tensor as an array of the main memory."""
    if hasattr(numbers, "detach"):
        numbers = numbers.detach().cpu().numpy()
    return numbers
