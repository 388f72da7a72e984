#!/usr/bin/env python3
"""Arrows between folders go down only: which folder includes which, circles, and includes that go up.

    tests/tidy/check_includes.py [--graph] [ROOT]

Exit code 1 when a folder includes one that stands above it, when folders or files include each other in a circle, when
a folder has no place in the order below, or when a file is included that does not exist. --graph prints what includes
what.
"""
import os
import re
import sys

# From the bottom up: a folder may include those above it in this list, and itself.
ORDER = [
    "engine/base",
    "engine/blas",
    "engine/types",
    "engine/files",
    "engine/kernel",
    "engine/kernel/template",
    "engine/kernel/scalar",
    "engine/kernel/x86",
    "engine/kernel/arm",
    "engine/pack/panels",
    "engine/checkpoint",
    "engine/model",
    "engine/model/families",
    "engine/fold",
    "engine/pack",
    "engine/modelfile",
    "engine/text/unicode",
    "engine/text/containers",
    "engine/text/regex",
    "engine/text/pretokenize",
    "engine/text/normalize",
    "engine/text/token_model",
    "engine/text/decode",
    "engine/text/template",
    "engine/text/sources",
    "engine/text",
    "engine/grammar/rules",
    "engine/grammar/match",
    "engine/grammar/sources",
    "engine/grammar",
    "engine/lora",
    "engine/loaded",
    "engine/kv",
    "engine/forward",
    "engine/verify",
    "engine/calibrate",
    "engine/sample",
    "engine/sched",
    "engine/api",
    "engine/tools",
    "config",
    "server/json",
    "server/memory",
    "server/logprobs",
    "server/api",
    "server/completion",
    "server/loop",
    "server/clients",
    "server/page",
    "server/service",
    "server/http",
    "server/metrics",
    "server/reference",
    "server/endpoints",
    "server/daemon",
    "server/bench",
    "server/cli",
    "server",
]

# What a folder may include although more stands below it. The server sees the engine's door, the commands its tools too.
DOOR = {"engine/base", "engine/types", "engine/api"}
SERVICE = DOOR | {"config", "server/json", "server/memory", "server/api", "server/completion", "server/loop",
                  "server/clients", "server/page", "server/service", "server/http", "server/metrics", "server/reference",
                  "server/endpoints"}
ONLY = {
    "config": {"engine/base", "engine/types"},
    "server/json": {"engine/base"},
    "server/memory": DOOR | {"config"},
    "server/logprobs": DOOR | {"server/json"},
    "server/api": DOOR | {"server/json", "server/memory"},
    "server/completion": DOOR | {"server/json", "server/memory", "server/logprobs", "server/api"},
    "server/loop": DOOR,
    "server/clients": {"engine/base", "config"},
    "server/page": {"engine/base"},
    "server/service": SERVICE - {"server/completion"},
    "server/http": SERVICE,
    "server/metrics": SERVICE,
    "server/reference": {"engine/base", "server/json", "server/api", "server/http"},
    "server/endpoints": SERVICE,
    "server/daemon": SERVICE,
    "server/bench": {"config", "engine/base", "engine/tools", "server/json"},
    "server/cli": DOOR | {"config", "engine/tools", "server/json", "server/logprobs", "server/service", "server/daemon",
                          "server/bench"},
    "server": DOOR | {"config", "server/cli"},
}

# Tables that a folder reads although it may not use what stands around them: they include nothing, so nothing comes
# with them.
TABLES = {
    ("engine/types/choices.h", "engine/kernel/kernels.def"),
    ("engine/types/choices.c", "engine/kernel/kernels.def"),
}

# Headers that the build makes.
GENERATED = {"version.h", "install_paths.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def sources(root):
    for top in ("engine", "server", "config"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".def")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def read_graph(root):
    """{folder: {folder it includes: [(file, included)]}}, {file: [included]}, and errors of single includes."""
    graph, files, errors = {}, {}, []
    for source in sources(root):
        folder = os.path.dirname(source)
        edges = graph.setdefault(folder, {})
        with open(os.path.join(root, source), encoding="utf-8") as file:
            included_files = INCLUDE.findall(file.read())
        for included in included_files:
            if included in GENERATED:
                continue
            if not os.path.isfile(os.path.join(root, included)):
                errors.append(f"{source}: there is no {included} (includes are written from the root)")
                continue
            files.setdefault(source, []).append(included)
            target = os.path.dirname(included)
            if target != folder and (source, included) not in TABLES:
                edges.setdefault(target, []).append((source, included))
    return graph, files, errors


def circles(graph):
    """Strongly connected folders or files (Tarjan)."""
    number, low, stack, on_stack, found = {}, {}, [], set(), []

    def visit(node):
        number[node] = low[node] = len(number)
        stack.append(node)
        on_stack.add(node)
        for target in graph.get(node, ()):
            if target not in number:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in on_stack:
                low[node] = min(low[node], number[target])
        if low[node] != number[node]:
            return
        members = []
        while True:
            member = stack.pop()
            on_stack.discard(member)
            members.append(member)
            if member == node:
                break
        if len(members) > 1:
            found.append(sorted(members))

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return found


def check_order(graph):
    rank = {folder: i for i, folder in enumerate(ORDER)}
    for folder in sorted(graph):
        if folder not in rank:
            yield f"{folder}: has no place in the order of {os.path.basename(__file__)}"
            continue
        for target, uses in sorted(graph[folder].items()):
            allowed = rank.get(target, len(ORDER)) < rank[folder]
            if folder in ONLY:
                allowed = allowed and target in ONLY[folder]
            if not allowed:
                for source, included in uses:
                    yield f"{source}: includes {included}, which {folder} may not see"


def main():
    arguments = [a for a in sys.argv[1:] if a != "--graph"]
    root = arguments[0] if arguments else os.path.join(os.path.dirname(__file__), "..", "..")
    graph, files, errors = read_graph(root)
    if "--graph" in sys.argv:
        for folder in sorted(graph, key=lambda f: ORDER.index(f) if f in ORDER else -1):
            print(f"{folder}: {', '.join(sorted(graph[folder])) or '-'}")
    errors += check_order(graph)
    errors += [f"a circle: {', '.join(members)}" for members in circles(graph) + circles(files)]
    for error in errors:
        print(error)
    if not graph:
        print("no sources found")
    return 1 if errors or not graph else 0


if __name__ == "__main__":
    sys.exit(main())
