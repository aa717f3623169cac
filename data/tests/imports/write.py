"""Writes the files of this folder, each with the tool that users have.

Run it in the folder, with Pillow 13, NumPy 2.4, pandas 3.1 and pyarrow 26 installed. The pixels are those of
`pixel`, which the tests compute, too.
"""
import io
import json
import os
import pickle
import tarfile

import numpy
import pandas
import pyarrow
import pyarrow.parquet
from PIL import Image


def images(first, count, channels, height, width):
    """Images as count, channels, rows, columns."""
    sample, channel, row, column = numpy.ogrid[first:first + count, :channels, :height, :width]
    return ((sample * 37 + channel * 85 + row * 5 + column * 3) % 256).astype(numpy.uint8)


def archive(name, files):
    with tarfile.open(name, "w:gz") as tar:
        for path, content in files:
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def cifar():
    names = [b"airplane", b"automobile", b"bird", b"cat", b"deer", b"dog", b"frog", b"horse", b"ship", b"truck"]
    folder = "cifar-10-batches-py/"
    files = [(folder + "readme.html", b"<html>"), (folder + "batches.meta", pickle.dumps({
        b"num_cases_per_batch": 4, b"label_names": [name.decode() for name in names], b"num_vis": 3072}))]
    # One protocol each.
    for number, (name, protocol) in enumerate(
            [("data_batch_1", 2), ("data_batch_2", 3), ("data_batch_3", 4), ("test_batch", 5)]):
        rows = images(4 * number, 4, 3, 32, 32).reshape(4, 3072)
        batch = {b"batch_label": b"batch", b"labels": [(4 * number + row) % 10 for row in range(4)],
                 b"data": rows, b"filenames": [b"a.png", b"b.png", b"c.png", b"d.png"]}
        files.append((folder + name, pickle.dumps(batch, protocol=protocol)))
    archive("cifar-10-python.tar.gz", files)
    rows = lambda first, count: b"".join(
        bytes([row % 20, row % 100]) + images(row, 1, 3, 32, 32).tobytes() for row in range(first, first + count))
    lines = lambda word, count: "".join(f"{word} {number}\n" for number in range(count)).encode()
    archive("cifar-100-binary.tar.gz", [
        ("cifar-100-binary/", b""),
        ("cifar-100-binary/coarse_label_names.txt", lines("coarse", 20)),
        ("cifar-100-binary/fine_label_names.txt", lines("fine", 100)),
        ("cifar-100-binary/train.bin", rows(0, 10)),
        ("cifar-100-binary/test.bin", rows(10, 5)),
    ])


def picture(array, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, **options)
    return file.getvalue()


def pictures():
    """Pictures of 6 x 8, in every format and mode."""
    os.makedirs("pictures", exist_ok=True)
    grey = images(0, 1, 1, 6, 8)[0, 0]
    colour = images(1, 1, 3, 6, 8)[0].transpose(1, 2, 0)
    alpha = numpy.dstack([colour, grey])
    flat = numpy.full((6, 8, 3), [200, 100, 50], numpy.uint8)
    rotated = Image.Exif()
    rotated[0x0112] = 6
    written = {
        "grey.png": picture(grey, format="PNG"),
        "colour.png": picture(colour, format="PNG"),
        "alpha.png": picture(alpha, format="PNG"),
        "colour.bmp": picture(colour, format="BMP"),
        "lossless.webp": picture(colour, format="WEBP", lossless=True),
        "flat.jpg": picture(flat, format="JPEG", quality=95),
        "progressive.jpeg": picture(flat, format="JPEG", quality=95, progressive=True),
        "flat-grey.jpg": picture(flat[:, :, 0].copy(), format="JPEG", quality=95),
        "turned.jpg": picture(flat, format="JPEG", quality=95, exif=rotated),
    }
    palette = io.BytesIO()
    Image.fromarray(flat).convert("P", palette=Image.Palette.ADAPTIVE).save(palette, format="PNG")
    written["palette.png"] = palette.getvalue()
    deep = io.BytesIO()
    Image.fromarray(grey.astype(numpy.uint16) * 257).save(deep, format="PNG")
    written["deep.png"] = deep.getvalue()
    for name, content in written.items():
        with open(f"pictures/{name}", "wb") as file:
            file.write(content)


def hub():
    """Encoded images as data hubs ship them: 8 to train in two shards, 4 to test."""
    os.makedirs("hub", exist_ok=True)
    encoded = [picture(array.transpose(1, 2, 0), format="PNG") for array in images(0, 12, 3, 4, 4)]
    names = ["cat", "dog", "owl"]
    features = {"info": {"features": {"image": {"_type": "Image"},
                                      "label": {"names": names, "_type": "ClassLabel"}}}}

    def write(name, first, count, label, path, metadata):
        rows = [{"bytes": encoded[row], "path": f"{row}.png"} for row in range(first, first + count)]
        fields = [("bytes", pyarrow.binary())] + ([("path", path)] if path else [])
        if path == pyarrow.null():
            rows = [{**row, "path": None} for row in rows]
        table = pyarrow.table({"image": pyarrow.array(rows, pyarrow.struct(fields)),
                               "label": [label(row % 3) for row in range(first, first + count)]})
        if metadata:
            table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
        pyarrow.parquet.write_table(table, f"hub/{name}")

    for folder, label, path, metadata in [
            ("integers", int, pyarrow.string(), True), ("texts", lambda row: names[row], pyarrow.null(), False),
            ("bare", lambda row: 5 + 2 * row, None, False)]:
        os.makedirs(f"hub/{folder}", exist_ok=True)
        write(f"{folder}/train-00000-of-00002.parquet", 0, 4, label, path, metadata)
        write(f"{folder}/train-00001-of-00002.parquet", 4, 4, label, path, metadata)
        write(f"{folder}/test-00000-of-00001.parquet", 8, 4, label, path, metadata)
    frame = pandas.DataFrame({"image": encoded, "label": [names[row % 3] for row in range(12)]})
    frame.to_parquet("hub/frame.parquet")


def npz():
    os.makedirs("npz", exist_ok=True)
    grey, colour = images(0, 12, 1, 4, 5)[:, 0], images(0, 12, 3, 4, 5).transpose(0, 2, 3, 1)
    labels = numpy.arange(12) % 3
    numpy.savez("npz/plain.npz", x_train=grey[:8], y_train=labels[:8], x_test=grey[8:], y_test=labels[8:])
    numpy.savez_compressed("npz/compressed.npz", x=numpy.ascontiguousarray(colour), y=labels[:, None].astype(">i2"))
    for name, array in [("x_train", numpy.ascontiguousarray(colour[:8])), ("y_train", labels[:8].astype(numpy.uint8)),
                        ("x_test", numpy.ascontiguousarray(colour[8:])), ("y_test", labels[8:].astype(numpy.int8))]:
        os.makedirs("npz/pairs", exist_ok=True)
        numpy.save(f"npz/pairs/{name}.npy", array)


def table():
    os.makedirs("table", exist_ok=True)
    frame = pandas.DataFrame({
        "length": [0.5 + row / 4 for row in range(12)],
        "colour": [["red", "green", "blue"][row % 3] for row in range(12)],
        "count": [row * row for row in range(12)],
        "kind": [["oak", "elm"][row % 2] for row in range(12)],
    })
    frame.to_csv("table/trees.csv", index=False)
    frame.to_parquet("table/trees.parquet")
    os.makedirs("table/parts", exist_ok=True)
    frame[:8].to_csv("table/parts/train.csv", index=False)
    frame[8:].to_csv("table/parts/test.csv", index=False)


cifar()
pictures()
hub()
npz()
table()
