"""A line of what schemathesis found, from the report that it wrote: `schemathesis_summary.py CALLER FILE`."""

import json
import sys

caller, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    report = json.load(file)
operations, cases = report["operations"], report["test_cases"]
errors = len(report["errors"]) + cases["errored"]
print(
    f"schemathesis as {caller}: {operations['tested']} of {operations['total']} operations, {cases['generated']} cases,"
    f" {cases['unique_failures']} failures, {errors} errors"
)
