#!/usr/bin/env python3
"""House rules that no compiler knows, over the files that git tracks. Prints each breach as FILE:LINE: what, and what to
do about it; ends with 1 where there is any. Usage: tidy.py [--root DIR]"""
import argparse
import os
import pathlib
import re
import subprocess
import sys

FILE_LINES_MAX = 500

# Larger, and why.
LARGE_FILES = {
    "engine/text/unicode/unicode_tables.c": "a table made by a script",
    "engine/checkpoint/pickle.c": "one machine with its instructions",
    "tests/unit/engine/sample/test_sampler.c": "one function with all its parameters",
}

# Calls that have a safer form here. A name's own file may use it.
BANNED_CALLS = {
    "strcpy": "memcpy with a length that was checked",
    "strcat": "snprintf",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets",
    "strtok": "strspn and strcspn",
    "atoi": "strtol, with its end and errno checked",
    "atol": "strtol, with its end and errno checked",
    "atof": "strtod, with its end and errno checked",
    "system": "posix_spawn",
    "popen": "posix_spawn",
    "alloca": "an array of a bounded size",
    "setjmp": "a return value",
    "longjmp": "a return value",
    "rand": "engine/sample/generator.h",
    "gmtime": "gmtime_r",
    "localtime": "localtime_r",
    "asctime": "strftime",
    "ctime": "strftime",
}

# Nothing below main ends the process, but for what cannot be told to a caller.
ENDING_CALLS = ("exit", "_exit", "_Exit", "quick_exit", "abort")

CODE_FOLDERS = ("config/", "engine/", "server/")


def tracked(root):
    out = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         check=True, capture_output=True).stdout
    return sorted(name for name in out.decode().split("\0") if name and (root / name).is_file())


def blank_out(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def code_only(text):
    """The text with comments, strings and character constants blanked; lines stay where they are."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank_out, text, flags=re.S)


class Tidy:
    def __init__(self, root):
        self.root = root
        self.files = tracked(root)
        self.breaches = 0
        self.exceptions = self.read_exceptions()

    def read_exceptions(self):
        """Lines 'RULE FILE  # why' of exceptions.txt."""
        found = set()
        for line in (self.root / "tests/tidy/exceptions.txt").read_text().splitlines():
            fields = line.split("#")[0].split()
            if len(fields) == 2:
                found.add(tuple(fields))
        return found

    def complain(self, rule, name, line, what):
        if (rule, name) in self.exceptions:
            return
        print(f"{name}:{line}: {what} [{rule}]")
        self.breaches += 1

    def search(self, rule, name, text, pattern, what):
        for match in re.finditer(pattern, text):
            self.complain(rule, name, text.count("\n", 0, match.start()) + 1, what(match))

    def check_source(self, name):
        text = (self.root / name).read_text()
        code = code_only(text)
        lines = text.count("\n")
        if lines > FILE_LINES_MAX and name not in LARGE_FILES:
            self.complain("file-size", name, lines, f"{lines} lines; at most {FILE_LINES_MAX}: split it by its nouns")
        self.search("goto", name, code, r"\bgoto\b", lambda m: "goto: return early, or make a function of it")
        if name.startswith(CODE_FOLDERS):
            self.search("banned-call", name, code, rf"(?<![\w.>])({'|'.join(BANNED_CALLS)})\s*\(",
                        lambda m: f"{m.group(1)}() is banned: use {BANNED_CALLS[m.group(1)]}")
            self.search("ends-process", name, code, rf"(?<![\w.>])({'|'.join(ENDING_CALLS)})\s*\(",
                        lambda m: f"{m.group(1)}(): only main ends the process; return a status")
        if name.endswith(".h") and "#pragma once" not in text:
            self.complain("pragma-once", name, 1, "a header without #pragma once")
        if not text.lstrip().startswith("/*") and name.endswith(".h"):
            self.complain("header-comment", name, 1, "a header begins with what it is for, who owns what, which thread")
        self.search("broken-ruler", name, text, r"/\* -{3,} [^\n]*[^-\n]\n \* -{3,}", lambda m: "a ruler over two lines: one line")

    def check_words(self, name):
        """The words of tests/tidy/private_words.txt: 'pattern  what to say instead', a line each."""
        text = (self.root / name).read_text(errors="replace")
        for pattern, folder, instead in self.words:
            if not name.startswith(folder):
                continue
            self.search("private-word", name, text, pattern, lambda m: f"'{m.group(0)}': say {instead}")

    def read_words(self):
        words = []
        for line in (self.root / "tests/tidy/private_words.txt").read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                pattern, folder, instead = re.split(r"\s{2,}", line.strip(), maxsplit=2)
                words.append((re.compile(pattern), "" if folder == "*" else folder, instead))
        return words

    def check_links(self, name):
        """Links to files of the project lead somewhere."""
        text = (self.root / name).read_text()
        text = re.sub(r"^```.*?^```", blank_out, text, flags=re.S | re.M)
        for match in re.finditer(r"\]\(([^)\s]+)\)", text):
            target = match.group(1)
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = ((self.root / name).parent / path).resolve() if path else self.root / name
            line = text.count("\n", 0, match.start()) + 1
            if not file.exists():
                self.complain("dead-link", name, line, f"'{target}' leads nowhere")
            elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
                self.complain("dead-link", name, line, f"'{target}': there is no such heading")

    def check_named_files(self, name):
        """Sources that a page names are there; NAME stands for one that is still to be written."""
        text = (self.root / name).read_text()
        for match in re.finditer(r"`([\w./-]+\.(?:c|h|def))`", text):
            file = pathlib.PurePath(match.group(1)).name
            if file not in self.names and "NAME" not in file:
                line = text.count("\n", 0, match.start()) + 1
                self.complain("named-file", name, line, f"names `{match.group(1)}`, which is not there")

    def check_tour(self):
        """Every folder with code is in the tour, and the tour names no folder that is not there."""
        tour = (self.root / "docs/architecture.md").read_text()
        folders = {str(pathlib.PurePath(f).parent) for f in self.files
                   if f.startswith(CODE_FOLDERS) and f.endswith((".c", ".h", ".def"))}
        named = set(re.findall(r"`((?:config|engine|server)(?:/[\w.]+)*)/?`", tour))
        for folder in sorted(folders):
            if folder not in named:
                self.complain("tour", "docs/architecture.md", 1, f"the tour does not name `{folder}/`")
        for folder in sorted(named):
            if not (self.root / folder).exists():
                self.complain("tour", "docs/architecture.md", 1, f"the tour names `{folder}`, which is not there")

    def check_example(self):
        """The adapter that docs/families.md shows is the one in the tree."""
        page = (self.root / "docs/families.md").read_text()
        name = re.search(r"the whole of `(engine/model/families/\w+\.c)`", page)
        source = (self.root / name[1]).read_text() if name else ""
        shown = "".join("    " + line if line.strip() else line for line in source[source.find("#include"):].splitlines(True))
        if not name or shown not in page:
            self.complain("example", "docs/families.md", 1, "shows another adapter than the one in the tree: copy it again")

    def run(self):
        self.words = self.read_words()
        self.names = {os.path.basename(f) for f in self.files}
        for name in self.files:
            if name.startswith("tests/tidy/"):
                continue
            if name.endswith((".c", ".h")) and not name.startswith("tests/cases/"):
                self.check_source(name)
            if name.endswith((".c", ".h", ".def", ".md", ".sh", ".py", ".txt", ".json", ".yml")) and \
                    not name.startswith(("tests/cases/", "tests/golden/", "deploy/models/", "docs/glossary", "CHANGELOG")):
                self.check_words(name)
            if name.endswith(".md"):
                self.check_links(name)
            if name.endswith(".md") and not name.startswith("CHANGELOG"):
                self.check_named_files(name)
        self.check_tour()
        self.check_example()
        return self.breaches


def anchors(text):
    """The anchors that a forge makes of the headings."""
    found = set()
    for heading in re.findall(r"^#+ +(.+?) *$", text, flags=re.M):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    breaches = Tidy(parser.parse_args().root).run()
    print(f"house rules: {breaches} breaches" if breaches else "house rules: ok")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
