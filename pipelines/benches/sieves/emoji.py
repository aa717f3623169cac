#!/usr/bin/env python3
"""Makes a data set of emoji in which variants of skin tone are known near-duplicates of a base image.

    npm pack emoji-datasource-google@16.0.0 && tar xzf emoji-datasource-google-16.0.0.tgz
    python3 emoji.py package --out emoji
    spfde train data.path=emoji sieve.policy=none trace.observe=full --run-dir full

Images are 32 × 32 in colour, on white. Classes are the subcategories with at least --least glyphs. Training and test
images are split by glyph, so that no variant of a test image is trained on. The column `original` of train.parquet has
the row of the base image of a variant, and nothing for all others. The images are Noto Emoji (Apache 2.0). It needs
`pip install numpy pillow pyarrow`.
"""

import argparse
import collections
import json
import pathlib

import numpy as np
from PIL import Image

from near_duplicates import write


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=pathlib.Path, help="the unpacked package emoji-datasource-google")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--least", type=int, default=5, help="glyphs of a class")
    parser.add_argument("--test", type=float, default=0.2, help="share of the glyphs that is set aside")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    glyphs = json.loads((arguments.package / "emoji.json").read_text())
    pictures = arguments.package / "img" / "google" / "64"
    glyphs = sorted((glyph for glyph in glyphs if (pictures / glyph["image"]).exists()), key=lambda glyph: glyph["unified"])
    sizes = collections.Counter(glyph["subcategory"] for glyph in glyphs)
    classes = sorted(name for name, size in sizes.items() if size >= arguments.least)
    glyphs = [glyph for glyph in glyphs if glyph["subcategory"] in classes]
    drawn = np.random.default_rng(arguments.seed).permutation(len(glyphs))
    tested = set(drawn[: round(arguments.test * len(glyphs))].tolist())
    parts = {"train": ([], [], []), "test": ([], [], [])}
    for number, glyph in enumerate(glyphs):
        images, labels, originals = parts["test" if number in tested else "train"]
        base = len(images)
        variants = [variant["image"] for variant in glyph.get("skin_variations", {}).values()]
        for name in [glyph["image"], *variants]:
            if (pictures / name).exists():
                originals.append(None if len(images) == base else base)
                images.append(picture(pictures / name))
                labels.append(classes.index(glyph["subcategory"]))
    arguments.out.mkdir(parents=True)
    for part, (images, labels, originals) in parts.items():
        write(arguments.out / f"{part}.parquet", np.stack(images), labels, originals if part == "train" else None)
    images, _, originals = parts["train"]
    variants = sum(row is not None for row in originals)
    print(f"{arguments.out}: {len(images)} training images of {len(classes)} classes, {variants} of them variants")


def picture(path):
    """(channels, height, width), on white."""
    image = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(white, image).convert("RGB").resize((32, 32), Image.Resampling.BOX)
    return np.asarray(image, np.uint8).transpose(2, 0, 1)


if __name__ == "__main__":
    main()
