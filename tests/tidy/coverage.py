#!/usr/bin/env python3
"""Line coverage for each folder beside its floor; ends with 1 where one is below. Usage: coverage.py SUMMARY FLOORS"""
import json
import pathlib
import sys


def folders(summary):
    found = {}
    for file in json.loads(pathlib.Path(summary).read_text())["files"]:
        folder = str(pathlib.PurePath(file["filename"]).parent)
        covered, total = found.get(folder, (0, 0))
        found[folder] = (covered + file["line_covered"], total + file["line_total"])
    return {name: 100 * covered / total for name, (covered, total) in found.items() if total}


def floors(path):
    lines = (line.split("#")[0].split() for line in pathlib.Path(path).read_text().splitlines())
    return {fields[0]: float(fields[1]) for fields in lines if fields}


def main(summary, floors_path):
    expected, found, failures = floors(floors_path), folders(summary), 0
    for name in sorted(expected.keys() | found.keys()):
        share, floor = found.get(name), expected.get(name)
        if share is None or floor is None or share < floor:
            failures += 1
            print(f"{name}: {'no such folder' if share is None else f'{share:.1f} %'}, "
                  f"{'without a floor' if floor is None else f'floor {floor:.0f} %'}: add tests, or say why in {floors_path}")
        else:
            print(f"{name}: {share:.1f} % (floor {floor:.0f} %)")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
