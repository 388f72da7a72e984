#!/usr/bin/env python3
"""What the transformers library makes of chat templates, for tests/golden/test_chat_templates.c.

    make_chat_template_cases.py templates   writes NAME.json beside each NAME.jinja of tests/golden/chat-templates
    make_chat_template_cases.py snippets    writes snippets.json there: the lines of snippets.txt, and random templates
    make_chat_template_cases.py random N SEED OUT   writes N random templates in the same form, to be compared once

Needs transformers 4.57 and jinja2 3.1. A case of snippets is [template, text], or [template, null] where the library
raises."""
import copy
import json
import pathlib
import random
import re
import sys

from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template

FOLDER = pathlib.Path(__file__).parent / "chat-templates"
RANDOM_SNIPPETS = 600

CONTEXT = {
    "s": "Hello, World", "t": "  two words\n", "u": "Grüße, ΣΑΣ ʼn ß 日本語 🙂", "e": "", "q": "it's \"q\" <b> & \\ \t",
    "n": 7, "m": -3, "z": 0, "f": 2.5, "g": -0.125, "h": 1e22, "b": True, "c": False, "x": None,
    "xs": [3, 1, 2], "ss": ["b", "A", "c", "a"], "mixed": [1, "1", None, 2.0, True], "empty": [], "nested": [[1, 2], [3, [4]]],
    "d": {"k": "v", "a": 1, "B": [1, 2], "get": 5}, "o": {},
    "ms": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi", "n": 2},
           {"role": "assistant", "content": None, "tool_calls": [{"name": "f", "arguments": {"x": 1, "y": "ü"}}]}],
}


# ---- rendering ------------------------------------------------------------------------------------------------------

def render(template, context):
    try:
        return _compile_jinja_template(template).render(**copy.deepcopy(context))  # "indent" adds to a list
    except Exception:  # whatever it is, the answer is an error
        return None


def is_fixed(text):
    """Neither an address nor a text that another version would write differently."""
    return text is None or not any(w in text for w in (" at 0x", "<built-in", "<bound", "<function", "<jinja2", "<class"))


# ---- random templates -----------------------------------------------------------------------------------------------

NAMES = list(CONTEXT) + ["missing"]
STRINGS = ["''", "'a'", "'b c'", "'%s'", "'%d|%5.2f'", "'{}'", "'{0}-{k}'", "' x '", "'é'", "','", "'role'", "'content'", "'\\n'"]
FILTERS = ["upper", "lower", "title", "capitalize", "trim", "length", "string", "int", "float", "abs", "list", "first", "last",
           "reverse", "sort", "unique", "join", "tojson", "default", "default('D')", "default('D', true)", "round", "round(1)",
           "sum", "min", "max", "items", "dictsort", "escape", "e", "safe", "wordcount", "center(9)", "indent", "indent(2, true)",
           "replace('l', 'L')", "replace('', '-')", "join(', ')", "join('|', attribute='role')", "map('upper')", "map('length')",
           "map(attribute='role')", "map(attribute='n', default='?')", "select", "reject", "select('string')", "select('odd')",
           "selectattr('n')", "selectattr('n', 'defined')", "selectattr('role', 'equalto', 'user')", "rejectattr('content', 'none')",
           "batch(2)", "slice(2)", "groupby('role')", "truncate(5, true, '', 0)", "truncate(8)", "urlencode", "tojson(indent=2)",
           "tojson(sort_keys=true)", "tojson(separators=(',', ':'))", "tojson(ensure_ascii=true)", "format(1, 2)", "sort(reverse=true)",
           "sort(attribute='role')", "attr('get')", "dictsort(by='value')", "dictsort(reverse=true)", "map('default', 'z')", "count",
           "nothing", "trim('H')", "unique|list", "map('int')|list", "batch(2, 'f')|list", "slice(3, 0)|list", "reverse|list",
           "items|list", "select|list", "reject('none')|list", "groupby('role')|list", "int('x')", "int(0, 16)", "float(1.5)",
           "round(0, 'floor')", "round(1, 'ceil')", "max(attribute='role')", "min(case_sensitive=true)", "forceescape"]
GENERATORS = {"map", "select", "reject", "selectattr", "rejectattr", "batch", "slice", "unique", "items", "reverse"}
METHODS = ["strip()", "lstrip()", "rstrip()", "upper()", "lower()", "title()", "capitalize()", "swapcase()", "split()", "split(',')",
           "split('l', 1)", "rsplit('o', 1)", "rsplit(None, 1)", "split(' ')", "splitlines()", "startswith('H')", "endswith(('d', 'x'))", "find('o')",
           "rfind('o')", "index('l')", "count('l')", "replace('o', '0')", "replace('l', '', 1)", "partition(',')", "rpartition('o')",
           "join(ss)", "isdigit()", "isalpha()", "isspace()", "isupper()", "islower()", "istitle()", "isalnum()", "zfill(9)", "ljust(15, '.')",
           "rjust(15)", "center(16, '*')", "removeprefix('He')", "removesuffix('ld')", "strip('Hd')", "format(1, k=2)", "get('k')",
           "get('zz')", "get('zz', 1)", "items()", "keys()", "values()", "keys()|list", "items()|list", "append(1)", "pop()", "index(1)", "count(1)", "copy()",
           "k", "role", "nothing", "update({})", "expandtabs(4)", "isnumeric()", "isdecimal()", "isascii()", "isprintable()", "find('l', 4, -1)",
           "startswith('W', 7)", "startswith('')", "split('')", "lstrip('He l')"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence", "iterable", "true",
         "false", "odd", "even", "divisibleby 2", "divisibleby(3)", "lower", "upper", "callable", "sameas none", "sameas(x)", "in [1, 'a']",
         "eq 7", "equalto('a')", "ne(1)", "gt 1", "ge 2", "lt(3)", "le 2", "in s", "escaped", "filter", "test", "nothing", "in d"]
BINARY = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
SUBSCRIPTS = ["[0]", "[-1]", "[9]", "['k']", "['role']", "[1:]", "[:-1]", "[::-1]", "[1:3]", "[::2]", "[-2:]", "[5:1:-2]", "['items']", "[x]", "[true]",
              "[none:2]", ".role", ".k", ".0", "[0].role", "[0]['content']", "[f]"]


class Maker:
    def __init__(self, seed, lists):
        self.random = random.Random(seed)
        self.lists = lists  # no generators, whose text is an address

    def pick(self, of):
        return self.random.choice(of)

    def atom(self):
        kind = self.random.random()
        if kind < 0.6:
            return self.pick(NAMES)
        if kind < 0.8:
            return self.pick(STRINGS)
        if kind < 0.95:
            return self.pick(["0", "1", "2", "-1", "3.0", "0.1", "10", "1e3", "true", "none", "1_000", "0x1F", "false"])
        return self.pick(["[]", "{}", "()", "(1,)", "['b', 1]", "{'k': s, 2: 3}", "range(3)", "range(1, 8, 3)", "namespace(k=1).k", "dict(k=1)"])

    def expression(self, depth):
        if depth == 0:
            return self.atom()
        kind, inner = self.random.randrange(12), self.expression(depth - 1)
        if kind < 3:
            name = self.pick(FILTERS)
            lazy = self.lists and name.split("(")[0] in GENERATORS
            return f"{self.wrap(inner)}|{name}" + ("|list" if lazy else "")
        if kind < 5:
            return f"{self.wrap(inner)}.{self.pick(METHODS)}"
        if kind < 6:
            subscript = self.pick(SUBSCRIPTS)
            if ":" in subscript and not set(re.findall(r"\w+", re.sub("'[^']*'|[|.]\\w+", "", inner))) & set(NAMES):
                subscript = "[0]"  # a slice of a constant is folded into an undefined value, of a variable it is an error
            return f"{self.wrap(inner)}{subscript}"
        if kind < 7:
            return f"{self.wrap(inner)} is {self.pick(['', 'not '])}{self.pick(TESTS)}"
        if kind < 10:
            return f"{self.wrap(inner)} {self.pick(BINARY)} {self.wrap(self.expression(self.random.randrange(depth)))}"
        if kind < 11:
            return f"{self.pick(['not ', '-', '+', ''])}{self.wrap(inner)}"
        return f"{self.wrap(inner)} if {self.wrap(self.expression(depth - 1))}" + self.pick([" else 'no'", " else " + self.atom(), ""])

    def wrap(self, text):
        return text if self.random.random() < 0.5 and " " not in text and "|" not in text else f"({text})"

    def sign(self):
        return self.pick(["", "", "", "-", "+"])

    def tag(self, text):
        return "{%" + self.sign() + " " + text + " " + self.sign() + "%}"

    def body(self, depth):
        parts = []
        for _ in range(self.random.randrange(1, 4)):
            kind = self.random.randrange(8 if depth > 0 else 3)
            blank = self.pick(["", " ", "\n", "  \n\t", "text ", "\n  "])
            parts.append(blank)
            if kind < 2:
                parts.append("{{" + self.sign() + " " + self.expression(2) + " " + self.pick(["", "-"]) + "}}")
            elif kind == 2:
                parts.append(self.tag(f"set {self.pick(['v', 'w', 'n'])} = {self.expression(2)}"))
            elif kind == 3:
                parts.append(self.tag(f"if {self.expression(2)}") + self.body(depth - 1) + self.pick(
                    ["", self.tag("else") + self.body(depth - 1), self.tag(f"elif {self.atom()}") + self.body(depth - 1)]) + self.tag("endif"))
            elif kind < 6:
                shown = self.pick(["{{ i }}", "{{ loop.index }}{{ v }}", "{{ loop.last }}", "{{ loop.previtem }}/{{ loop.nextitem }}", "{{ loop.length }}",
                                   "{% if loop.index == 2 %}{% break %}{% endif %}", "{% if loop.first %}{% continue %}{% endif %}", "{{ loop.revindex0 }}",
                                   "{{ loop.cycle('a', 'b') }}", "{{ loop.changed(i) }}", "{{ loop.depth }}"])
                parts.append(self.tag(f"for i in {self.expression(1)}" + self.pick(["", "", " if i", " if i is string"])) + shown + self.body(depth - 1) + shown + self.pick(
                    ["", self.tag("else") + "none"]) + self.tag("endfor"))
            elif kind == 6:
                parts.append(self.tag("macro k(p, r=" + self.atom() + ")") + "{{ p }}{{ r }}{{ v }}" + self.body(depth - 1) + self.tag("endmacro") +
                             "{{ k(" + self.pick(["", "1", "s, 2", "r=3", "p=1, r=2", "1, 2, 3", "q=1"]) + ") }}")
            else:
                parts.append(self.pick([self.tag("set v") + self.body(depth - 1) + self.tag("endset") + "{{ v }}",
                                        "{#" + self.sign() + " c " + self.sign() + "#}", "{% raw %} {{ x }} {% endraw %}",
                                        self.tag("filter upper") + self.body(depth - 1) + self.tag("endfilter"),
                                        self.tag("with v = " + self.expression(1)) + "{{ v }}" + self.tag("endwith"),
                                        "{% generation %}" + self.body(depth - 1) + "{% endgeneration %}"]))
        return "".join(parts)

    def template(self):
        if self.random.random() < 0.7:
            return "{{ " + self.expression(self.random.randrange(1, 4)) + " }}"
        return self.body(2)


def random_cases(count, seed, lists=False):
    maker, cases, errors = Maker(seed, lists), [], 0
    while len(cases) < count:
        template = maker.template()
        text = render(template, CONTEXT)
        if not is_fixed(text) or (text and len(text) > 2000) or (text is None and errors > len(cases) // 3):
            continue
        errors += text is None
        cases.append([template, text])
    return cases


# ---- files ----------------------------------------------------------------------------------------------------------

CHATS = [
    [{"role": "user", "content": "Hello!"}],
    [{"role": "system", "content": "Be brief.\n"}, {"role": "user", "content": " Hi "}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nb"}, {"role": "user", "content": "c\n"}],
    [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    [{"role": "assistant", "content": "a"}],
    [{"role": "user", "content": [{"type": "text", "text": "Ein "}, {"type": "text", "text": "Satz: äöü 🙂 \"q\""}]}],
    [{"role": "user", "content": None}],
    [{"role": "user"}],
    [{"role": "tool", "content": {"x": [1, 2.5, True, None, "ü"]}}, {"role": "user", "content": "ok"}],
    [{"role": "user", "content": "w"}, {"role": "assistant", "content": "", "tool_calls": [
        {"type": "function", "function": {"name": "f", "arguments": {"a": 1, "b": ["<", "ü"]}}}]}, {"role": "tool", "content": "r"}],
    [{"role": "developer", "content": "d"}, {"role": "user", "content": "u"}],
    [{"role": "user", "content": "<|im_end|>{{ bos_token }}\r\n\t\\"}],
]
VARIABLES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
EXTRAS = [{}, {"enable_thinking": False}]


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=0) + "\n")


def write_templates():
    for path in sorted(FOLDER.glob("*.jinja")):
        cases = []
        for messages in CHATS:
            for add in (True, False):
                for extra in EXTRAS:
                    case = {"messages": messages, "add_generation_prompt": add, "extra": extra}
                    try:
                        rendered, _ = render_jinja_template([messages], chat_template=path.read_text(),
                                                            add_generation_prompt=add, **VARIABLES, **extra)
                        case["text"] = rendered[0]
                    except Exception as error:
                        case["error"] = type(error).__name__
                    cases.append(case)
        write(path.with_suffix(".json"), {"variables": VARIABLES, "cases": cases})


def write_snippets():
    lines = [json.loads(line) if line.startswith('"') else line for line in (FOLDER / "snippets.txt").read_text().splitlines()
             if line and not line.startswith("## ")]
    cases = [[line, render(line, CONTEXT)] for line in lines]
    for template, text in cases:
        if not is_fixed(text):
            raise SystemExit(f"{template}: not the same everywhere: {text}")
    write(FOLDER / "snippets.json", {"context": CONTEXT, "cases": cases + random_cases(RANDOM_SNIPPETS, 1, lists=True)})


def main():
    if sys.argv[1:] == ["templates"]:
        write_templates()
    elif sys.argv[1:] == ["snippets"]:
        write_snippets()
    elif len(sys.argv) == 5 and sys.argv[1] == "random":
        write(pathlib.Path(sys.argv[4]), {"context": CONTEXT, "cases": random_cases(int(sys.argv[2]), int(sys.argv[3]))})
    else:
        raise SystemExit(__doc__)


main()
