#!/usr/bin/env python3
"""Makes a copy of Fashion-MNIST of which 30 % of the training images are near-duplicates of others.

    python3 near_duplicates.py ../../../data/fashion-mnist --out redundant
    spfde train data.path=redundant sieve.policy=none trace.observe=full --run-dir full

A near-duplicate is an image shifted by at most --shift pixels in each direction, with noise on every pixel. There are
as many training images as before: originals without a copy, originals with one, and the copies, in a drawn order. The
column `original` of train.parquet has the row of the original of a copy, and nothing for all others; `spfde` ignores
it. The test images stay as they are. It needs `pip install numpy pyarrow`.
"""

import argparse
import json
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, help="a data set of spfde with grey images")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the directory of the new one")
    parser.add_argument("--share", type=float, default=0.3, help="share of near-duplicates")
    parser.add_argument("--shift", type=int, default=1, help="pixels")
    parser.add_argument("--noise", type=float, default=6.0, help="standard deviation, of 255")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = np.random.default_rng(arguments.seed)
    train = pq.read_table(arguments.data / "train.parquet")
    shape = json.loads(train.schema.metadata[b"spfde.data"])
    height, width = shape["height"], shape["width"]
    pixels = np.frombuffer(b"".join(train["image"].to_pylist()), np.uint8).reshape(-1, height, width)
    labels = train["label"].to_numpy()
    rows = len(labels)
    copies = round(arguments.share * rows)
    kept = draw.permutation(rows)[: rows - copies]
    # The first of those that are kept have a copy each.
    source = np.concatenate([kept, kept[:copies]])
    images = pixels[source].astype(np.float64)
    for row in range(rows - copies, rows):
        images[row] = near(images[row], draw, arguments.shift, arguments.noise)
    images = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    order = draw.permutation(rows)
    place = np.argsort(order)
    original = [place[row - (rows - copies)] if row >= rows - copies else None for row in order]
    arguments.out.mkdir(parents=True)
    write(arguments.out / "train.parquet", images[order], labels[source][order], original)
    test = pq.read_table(arguments.data / "test.parquet")
    pixels = np.frombuffer(b"".join(test["image"].to_pylist()), np.uint8).reshape(-1, height, width)
    write(arguments.out / "test.parquet", pixels, test["label"].to_numpy())
    print(f"{arguments.out}: {rows} training images, {copies} of them near-duplicates")


def near(image, draw, shift, noise):
    """The image at another place, with noise; what comes in from outside is black."""
    down, right = draw.integers(-shift, shift + 1, 2)
    moved = np.zeros_like(image)
    height, width = image.shape
    source = image[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
    moved[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = source
    return moved + draw.normal(0.0, noise, image.shape)


def write(path, images, labels, original=None):
    """A part of a data set; images are (rows, [channels,] height, width)."""
    channels = images.shape[1] if images.ndim == 4 else 1
    size = images[0].size
    columns = {
        "image": pa.array([image.tobytes() for image in images], pa.binary(size)),
        "label": pa.array([int(label) for label in labels], pa.uint16()),
    }
    if original is not None:
        columns["original"] = pa.array([None if row is None else int(row) for row in original], pa.uint32())
    shape = {"channels": channels, "height": images.shape[-2], "width": images.shape[-1]}
    table = pa.table(columns).replace_schema_metadata({"spfde.data": json.dumps(shape)})
    pq.write_table(table, path, row_group_size=4096)


if __name__ == "__main__":
    main()
