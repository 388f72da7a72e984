#!/usr/bin/env python3
"""docs/operations.md says what to do about each line that the log may have: every warning and error of the code has a row there, and
every row has its line in the code. Prints what is missing; ends with 1 where anything is. Usage: check_log_lines.py [--root DIR]

In a row, lines are between backquotes; words in capitals (N, WHERE, PATH) and '...' stand for what differs."""
import argparse
import pathlib
import re
import subprocess

PAGE = "docs/operations.md"
SECTIONS = ("## The log", "### What a start may warn of")  # whose tables have the rows
CALL = re.compile(r"\blog_(?:warn|error)\(|\blog_write\((?:level|LOG_LEVEL_(?:WARN|ERROR)),")
STRING = r'"(?:\\.|[^"\\\n])*"'
VARIES = "\0"  # a conversion of a format
LITERAL_MIN = 8  # characters of a row that are not placeholders: with fewer it would fit any line


def join_strings(text):
    """What string literals in a row say, conversions replaced; %% is a character."""
    joined = "".join(piece[1:-1] for piece in re.findall(STRING, text)).replace(r'\"', '"').replace(r"\n", " ")
    return re.sub(r"%[-+ #0-9.*]*(?:hh|h|ll|l|z|j|t)?[a-zA-Z]", VARIES, joined.replace("%%", "%\1")).replace("\1", "")


def literals(text):
    """[(offset, text)]: string literals, those that only blanks are between joined."""
    return [(m.start(), join_strings(m[0])) for m in re.finditer(rf"{STRING}(?:\s*{STRING})*", text)]


def formats(text):
    """[(offset, format)] of the warnings and errors."""
    found = []
    for call in CALL.finditer(text):
        following = re.compile(rf"\s*({STRING}(?:\s*{STRING})*)").match(text, call.end())
        if following:  # else it is the function's own declaration
            found.append((call.start(), join_strings(following[1])))
    return found


def pattern_of(row):
    """A row's line as a regular expression for the beginning of formats."""
    pieces = re.split(r"(\.\.\.|\b[A-Z][A-Z_]*\b)", row)
    literal = "".join(piece for piece in pieces[::2])
    if len(literal.strip()) < LITERAL_MIN:
        return None
    # A word in capitals may also be one of the line itself: SIGHUP, NOTIFY_SOCKET.
    return re.compile("".join(f"(?:.+?|{re.escape(piece)})" if i % 2 else re.escape(piece) for i, piece in enumerate(pieces)), re.S)


def rows(page):
    """{line in a table: its pattern}"""
    found = {}
    for section in re.split(r"^(?=##)", page, flags=re.M):
        if not section.startswith(SECTIONS):
            continue
        for cell in re.findall(r"^\| (`.*?) \|", section, flags=re.M):
            for line in re.findall(r"`([^`]+)`", cell):
                if pattern := pattern_of(line.removeprefix(",").strip()):
                    found[line] = pattern
    return found


def main():
    parser = argparse.ArgumentParser(description="Log lines of the code beside those of the documentation")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    root = parser.parse_args().root
    names = subprocess.run(["git", "-C", root, "ls-files", "-z", "engine/*.c", "server/*.c"], check=True, capture_output=True,
                           text=True).stdout.split("\0")
    texts = {name: (root / name).read_text() for name in names if name and (root / name).is_file()}
    known, missing = rows((root / PAGE).read_text()), 0
    for name, text in texts.items():
        for offset, line in formats(text):
            if not any(pattern.match(line) for pattern in known.values()):
                print(f"{name}:{text.count(chr(10), 0, offset) + 1}: '{line.replace(VARIES, 'X')}' is not in {PAGE}")
                missing += 1
    everything = [line for text in texts.values() for _, line in literals(text)]
    for row, pattern in known.items():
        if not any(pattern.match(line) for line in everything):
            print(f"{PAGE}: no line of the log begins with '{row}'")
            missing += 1
    if not known:
        raise SystemExit(f"{PAGE} has no rows")
    raise SystemExit(1 if missing else 0)


if __name__ == "__main__":
    main()
