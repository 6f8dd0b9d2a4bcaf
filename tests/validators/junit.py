"""Holds a JUnit file against Jenkins' schema and prints its cases as junitparser reads them: junit.py FILE SCHEMA"""

import json
import sys

import junitparser
from lxml import etree

file, schema = sys.argv[1:]
schema = etree.XMLSchema(etree.parse(schema))
schema.assertValid(etree.parse(file))

report = junitparser.JUnitXml.fromfile(file)
cases = [
    {
        "suite": suite.name,
        "name": case.name,
        "results": [type(result).__name__.lower() for result in case.result],
        "messages": [result.message or "" for result in case.result],
    }
    for suite in report
    for case in suite
]
counts = {name: getattr(report, name) for name in ("tests", "failures", "errors", "skipped")}
print(json.dumps({"counts": counts, "cases": cases}))
