"""Reads a CSV file as Python does and prints its rows: table.py FILE"""

import csv
import json
import sys

with open(sys.argv[1], encoding="utf-8", newline="") as file:
    print(json.dumps(list(csv.reader(file, strict=True))))
