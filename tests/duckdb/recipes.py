#!/usr/bin/env python3
"""Do the recipes of the guide run, and do DuckDB, polars and pandas give the same answers?

  python tests/duckdb/recipes.py data DIRECTORY      # writes a small data set in IDX files
  python tests/duckdb/recipes.py check               # where runs/resnet20-0-1 and art are

Every section of pipelines/src/guide/recipes.md has a block of SQL, one for polars and one for pandas; the last two
leave their `answer`. Columns and rows have to be the same. Needs `pip install duckdb pandas polars pyarrow`.
"""
import math
import re
import struct
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "pipelines/src/guide/recipes.md"


def write_data(directory):
    """Writes images of 12 × 12 pixels in ten classes that a network learns only in part."""
    directory.mkdir(parents=True)
    for part, count in [("train", 200), ("t10k", 60)]:
        pixels = bytes(
            (image % 10 * 23 * (pixel % 10) + image * pixel * 7919 % 211) % 256
            for image in range(count)
            for pixel in range(144)
        )
        header = struct.pack(">iiii", 0x803, count, 12, 12)
        (directory / f"{part}-images-idx3-ubyte").write_bytes(header + pixels)
        labels = bytes(image % 10 for image in range(count))
        (directory / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">ii", 0x801, count) + labels)


def is_same(left, right):
    """Whether two cells are the same, numbers but for the order of summation."""
    if isinstance(left, float) or isinstance(right, float):
        return left == right or math.isclose(left, right, rel_tol=1e-9)
    if hasattr(left, "__len__") and not isinstance(left, str):
        return list(left) == list(right)
    return left == right


def check():
    import duckdb

    python, failures = {}, 0
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")
    blocks = [re.findall(r"```(sql|python)\n(.*?)```", section, re.DOTALL) for section in sections]
    (_, first), = blocks[0]
    exec(first, python)
    for section, blocks in zip(sections[1:], blocks[1:]):
        name = section.partition("\n")[0]
        assert [kind for kind, _ in blocks] == ["sql", "python", "python"], name
        found = duckdb.sql(blocks[0][1])
        answers = [(found.columns, found.fetchall())]
        for _, code in blocks[1:]:
            exec(code, python)
            answer = python.pop("answer")
            rows = answer.rows() if hasattr(answer, "rows") else list(answer.itertuples(index=False, name=None))
            answers.append((list(answer.columns), rows))
        heads, rows = answers[0]
        for tool, (other_heads, other) in zip(["polars", "pandas"], answers[1:]):
            same = heads == other_heads and len(rows) == len(other)
            same = same and all(len(a) == len(b) and all(map(is_same, a, b)) for a, b in zip(rows, other))
            if not same:
                failures += 1
                print(f"DIFFERENT: {name}: {tool}", heads, rows[:3], other_heads, other[:3], sep="\n")
        if not rows:
            failures += 1
        print(f"{'ok' if rows else 'EMPTY'}: {name}: {len(rows)} rows")
    sys.exit(f"{failures} recipes failed" if failures else 0)


match sys.argv[1:]:
    case ["data", directory]:
        write_data(Path(directory))
    case ["check"]:
        check()
    case _:
        sys.exit(__doc__)
