#!/usr/bin/env python3
"""Runs the examples of the documentation: tests/clients/examples.py PROGRAM [MODEL]

An example is a block of code, indented or fenced, that has a command or a Python statement. It is run where its fence says
`sh` or `python`, and every other must stand in examples_not_run.txt with the reason; of those, commands of prenormd must have
the flags that they show. What is run finds `prenormd` on its PATH, an empty folder (or this tree, where it names a file of it),
and a daemon with the bundled model and a chat template in place of 127.0.0.1:8080. It must succeed and print something;
where commands begin with `$ `, what stands below is what they print, but for times and ids. An example whose program or package is not there is named, and not run."""
import argparse
import ast
import concurrent.futures
import glob
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "tests", "clients")
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
from client import Daemon  # noqa: E402 - the folder has just been named
from pypi import use_kept  # noqa: E402

PAGES = ["*.md", "docs/*.md", "config/*.md", "deploy/**/*.md", "tests/**/*.md"]
ADDRESS = "127.0.0.1:8080"
COMMAND = re.compile(r"^(\$ |sudo |(curl|prenormd|pip|hf|cmake|docker|mkdir|python3?|lm_eval|cpack)\s|\.?[\w./-]+\.(sh|py)\b|import |from \S+ import )")
TIME_LIMIT = 300  # seconds; nothing here takes more than a few on an idle machine


class Example:
    def __init__(self, page, line, language, text):
        self.page, self.line, self.language, self.text = page, line, language, text

    def __str__(self):
        return f"{self.page}:{self.line}"

    def first_line(self):
        return self.text.split("\n")[0].strip()

    def is_code(self):
        return self.language in ("sh", "python") or any(COMMAND.match(line) for line in self.text.split("\n"))


def examples_of(page):
    """Fenced and indented blocks. An indented one begins behind an empty line that no list precedes."""
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        lines = file.read().split("\n")
    fence, block, start, in_list = None, [], 0, False
    for number, line in enumerate(lines + [""], 1):
        if fence is not None:
            if line.startswith("```"):
                yield Example(page, start, fence, "\n".join(block))
                fence, block = None, []
            else:
                block.append(line)
        elif line.startswith("    ") and not in_list or (block and not line and lines[number:number + 1] and
                                                         lines[number].startswith("    ")):
            start = start if block else number
            block.append(line[4:])
        else:
            if block:
                yield Example(page, start, "", "\n".join(block))
                block = []
            if line.startswith("```"):
                fence, start = line[3:].strip(), number
            if line:
                in_list = bool(re.match(r"(\s*[-*]|\d+\.) ", line)) or (in_list and line.startswith(" "))


# ---- what is not run ------------------------------------------------------------------------------------


def read_not_run():
    """page, first line: reason."""
    found = {}
    with open(os.path.join(HERE, "examples_not_run.txt"), encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                page, first, reason = (part.strip() for part in line.split(" | "))
                found[page, first] = reason
    return found


def check_flags(example, program, known):
    """That each command has the flags that it is shown with."""
    for command, rest in re.findall(r"^prenormd (\w+)\b([^#\n]*)", example.text, re.M):
        if command == "help":
            continue
        if command not in known:
            known[command] = subprocess.run([program, "help", command], check=True, capture_output=True, text=True).stdout
        for flag in re.findall(r"--[a-z][a-z-]*", rest):
            assert re.search(rf"{flag}\b", known[command]), f"{example}: prenormd {command} has no {flag}"


# ---- what is run ----------------------------------------------------------------------------------------


def missing_module(text):
    for node in ast.walk(ast.parse(text)):
        names = [name.name for name in node.names] if isinstance(node, ast.Import) else \
            [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            if not importlib.util.find_spec(name.partition(".")[0]):
                return name
    return None


def missing_program(text, path):
    word = text.split()[0]
    return None if shutil.which(word, path=path) else word


def commands_and_output(text):
    """Of lines '$ command', with lines that go on behind a backslash, and what is printed below: [(command, output)]."""
    parts = re.split(r"^\$ ", text, flags=re.M)[1:]
    return [re.match(r"((?:[^\n]*\\\n)*[^\n]*)\n?(.*)", part, re.S).groups() for part in parts]


def without_what_differs(value):
    return {key: member for key, member in value.items() if key not in ("id", "created")} if isinstance(value, dict) else value


def check_output(example, shown, printed):
    """What is shown is broken into lines at blanks."""
    def join(text):
        return re.sub(r"\s*\n\s*", " ", text.strip())
    try:
        same = without_what_differs(json.loads(join(shown))) == without_what_differs(json.loads(join(printed)))
    except ValueError:
        same = join(shown) == join(printed)
    assert same, f"{example}: prints\n{printed}\nand not\n{shown}"


class Runner:
    def __init__(self, program, folder, address, kept):
        self.folder = os.path.join(folder, "work")
        self.address = address
        os.mkdir(self.folder)
        os.mkdir(os.path.join(folder, "bin"))
        os.symlink(os.path.abspath(program), os.path.join(folder, "bin", "prenormd"))
        with open(os.path.join(folder, ".curlrc"), "w", encoding="utf-8") as file:
            file.write("fail-with-body\nsilent\nshow-error\nmax-time = 120\n")
        path = os.pathsep.join([os.path.join(folder, "bin"), os.path.join(kept, "bin"), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "HOME": folder, "CURL_HOME": folder, "HF_HUB_OFFLINE": "1",
                            "PYTHONPATH": os.pathsep.join([kept, os.environ.get("PYTHONPATH", "")]), "NO_PROXY": "127.0.0.1"}
        for name in [name for name in self.environment if name.startswith("PRENORM_")]:
            del self.environment[name]

    def run(self, example, words, text):
        done = subprocess.run([*words, text.replace(ADDRESS, self.address)], cwd=ROOT if re.search(r"\b(tests|deploy)/", text) else self.folder,
                              env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=TIME_LIMIT, check=False)
        assert done.returncode == 0, f"{example}: ended with {done.returncode}\n{text}\n{done.stdout}{done.stderr}"
        assert done.stdout.strip(), f"{example}: printed nothing"
        return done.stdout

    def missing(self, example):
        if example.language == "python":
            return missing_module(example.text)
        return missing_program(re.sub(r"^\$ ", "", example.text), self.environment["PATH"])

    def try_example(self, example):
        """A line that says what became of it."""
        missing = self.missing(example)
        if missing:
            return f"NOT RUN {example}: {missing} is not installed (tests/clients/pypi.py --all installs what examples use)"
        self.run_example(example)
        return f"passed  {example}"

    def run_example(self, example):
        if example.language == "python":
            self.run(example, [sys.executable, "-c"], example.text)
        elif example.text.startswith("$ "):
            for command, output in commands_and_output(example.text):
                check_output(example, output, self.run(example, ["bash", "-euo", "pipefail", "-c"], command))
        else:
            self.run(example, ["bash", "-euo", "pipefail", "-c"], example.text)


def sort_examples(program):
    """Those that are run. Every other one has its reason, and flags that there are; a reason without an example is a mistake."""
    not_run, used, known, run = read_not_run(), set(), {}, []
    pages = sorted({os.path.relpath(path, ROOT) for pattern in PAGES
                    for path in glob.glob(os.path.join(ROOT, pattern), recursive=True)})
    for example in (example for page in pages for example in examples_of(page)):
        key = (example.page, example.first_line())
        if key in not_run:
            used.add(key)
            check_flags(example, program, known)
        elif example.language in ("sh", "python"):
            run += [example] if example.text not in [other.text for other in run] else []
        else:
            assert not example.is_code(), f"{example} has commands: fence it as sh or python, or give examples_not_run.txt a reason"
    assert used == set(not_run), f"examples_not_run.txt has what no page has: {set(not_run) - used}"
    return run, len(used)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("model", nargs="?", default=os.path.join(ROOT, "deploy", "models", "tales"))
    options = parser.parse_args()
    kept = use_kept()
    examples, others = sort_examples(options.program)
    daemon = Daemon(options.program, options.model, "--chat-template", os.path.join(HERE, "chat.jinja"))
    try:
        with tempfile.TemporaryDirectory() as folder:
            runner = Runner(options.program, folder, f"127.0.0.1:{daemon.port}", kept)
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                lines = list(pool.map(runner.try_example, examples))
    finally:
        code = daemon.stop()
    assert code == 0, f"the daemon ended with {code}"
    print("\n".join(lines))
    done = sum(line.startswith("passed") for line in lines)
    print(f"{done} examples run, {len(lines) - done} not run for want of a package, {others} that say why not")
    assert done, "no example was found"
    return 0


if __name__ == "__main__":
    sys.exit(main())
