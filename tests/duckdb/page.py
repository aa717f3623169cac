#!/usr/bin/env python3
"""Do the queries on a page of `spfde report` make the numbers that stand beside them?

  python tests/duckdb/page.py PAGE.html

Runs each query with DuckDB and compares columns and rows with the table above it, to the last digit that the table
shows. Prints a line for each table; exit code 0 if all agree. Run it in the directory in which the page was made.
Needs `pip install duckdb`.
"""
import sys
from html.parser import HTMLParser

import duckdb


class Page(HTMLParser):
    """The tables of a page: a heading, heads, rows and a query each."""

    def __init__(self):
        super().__init__()
        self.tables, self.text, self.heading = [], "", ""

    def handle_starttag(self, tag, attributes):
        if tag in ("h2", "h3", "summary", "th", "td", "code"):
            self.text = ""
        if tag == "details":
            self.tables.append({"heads": [], "rows": []})
        if tag == "tr" and self.tables:
            self.tables[-1]["rows"].append([])

    def handle_data(self, data):
        self.text += data

    def handle_endtag(self, tag):
        if tag == "h3":
            self.heading = self.text
        if tag == "summary":
            self.tables[-1]["name"] = f"{self.heading} ({self.text})"
        if tag == "th" and self.tables:
            self.tables[-1]["heads"].append(self.text)
        if tag == "td" and self.tables:
            self.tables[-1]["rows"][-1].append(self.text)
        if tag == "code":
            self.tables[-1]["query"] = self.text


def is_same(shown, found):
    """Whether a cell shows what DuckDB found: a number may differ by one in the last digit, which both round."""
    if found is None:
        return shown == "–"
    try:
        number = float(shown)
    except ValueError:
        return shown == str(found)
    unit = 10.0 ** -len(shown.partition(".")[2]) if "." in shown else 0
    if number != number:  # not a number
        return found != found
    return number == float(found) or abs(number - float(found)) <= 1.001 * unit


page, failures = Page(), 0
page.feed(open(sys.argv[1], encoding="utf-8").read())
con = duckdb.connect()
for table in page.tables:
    rows = [row for row in table["rows"] if row]
    found = con.execute(table["query"])
    heads, found = [column[0] for column in found.description], found.fetchall()
    different = [
        (own, other) for own, other in zip(rows, found) if len(own) != len(other) or not all(map(is_same, own, other))
    ]
    ok = heads == table["heads"] and len(rows) == len(found) and not different
    print(f"{'ok' if ok else 'DIFFERENT'}: {table['name']}: {len(rows)} rows")
    if not ok:
        failures += 1
        print(table["heads"], heads, len(rows), len(found), different[:3], table["query"], sep="\n", file=sys.stderr)
if not page.tables or failures:
    sys.exit(f"{failures} of {len(page.tables)} tables differ")
print(f"all {len(page.tables)} tables are what their queries make")
