"""Writes the data sets of this folder, each with another program: 12 and 4 images of 3 x 4 x 4 pixels.

Run it in the folder, with pyarrow 26, pandas 3 and duckdb 2 installed.
"""
import os

import duckdb
import pandas
import pyarrow
import pyarrow.parquet


def path(folder):
    os.makedirs(folder, exist_ok=True)
    return f"{folder}/{name}"


for name, count in [("train.parquet", 12), ("test.parquet", 4)]:
    images = [bytes((image * 48 + place) * 7 % 251 for place in range(48)) for image in range(count)]
    labels = [image % 3 for image in range(count)]
    image, label = pyarrow.array(images, pyarrow.binary(48)), pyarrow.array(labels, pyarrow.int32())
    table = pyarrow.table({"image": image, "label": label})
    pyarrow.parquet.write_table(table, path("pyarrow-brotli"), compression="brotli")
    pyarrow.parquet.write_table(table, path("pyarrow-lz4-v2"), compression="lz4", data_page_version="2.0")
    frame = pandas.DataFrame({"image": images, "label": labels})
    frame.to_parquet(path("pandas"))
    frame.to_parquet(path("pandas-gzip"), compression="gzip", use_dictionary=False)
    database = duckdb.connect()
    database.register("frame", frame)
    database.sql(f"copy frame to '{path('duckdb')}' (format parquet)")
    database.sql(f"copy frame to '{path('duckdb-lz4')}' (format parquet, compression lz4)")
