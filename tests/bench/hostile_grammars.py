#!/usr/bin/env python3
"""What refusing costs: schemas and grammars that are made to take long, each as one request, by the processor time of the thread
that reads it.

    tests/bench/hostile_grammars.py build/prenormd MODEL [--rounds 5] [--only PART] [--most 100] [options of serve]

MODEL needs a tokenizer as people use them, as grammar_step.py says. For each body: the milliseconds of the thread of the pool
(least of the rounds, and most), those of the loop, what was answered, and from what on. Exit code 1 where one takes more than
--most milliseconds. Standard library only; the kernel counts the time (/proc/PID/task/*/schedstat).
"""
import http.client
import json
import os
import random
import string
import sys

import client
import command


def joined(parts, size, begin, end):
    """As many of the parts as there is room for."""
    out, length = [], len(begin) + len(end)
    for part in parts:
        if length + len(part) + 1 > size:
            break
        out.append(part)
        length += len(part) + 1
    return begin + ",".join(out) + end


def numbers(n=1 << 30):
    return map(str, range(n))


def keys():
    letters = string.ascii_lowercase
    for n in range(1 << 30):
        yield "".join(letters[n // 26 ** i % 26] for i in range(4))


def nested(depth, opens, inner, closes):
    return opens * depth + inner + closes * depth


def schemas(size):
    """name -> text of a schema, of about `size` bytes."""
    rng = random.Random(1)
    words = ["".join(rng.choice(string.ascii_lowercase) for _ in range(8)) for _ in range(size // 10)]

    def fill(begin, parts, end):
        return joined(parts, size, begin, end)

    yield "objects in enum", fill('{"enum":[', ('{"%s":{}}' % key for key in keys()), "]}")
    yield "empty objects in enum", fill('{"enum":[', ("{}" for _ in keys()), "]}")
    yield "empty lists in enum", fill('{"enum":[', ("[]" for _ in keys()), "]}")
    yield "numbers in enum", fill('{"enum":[', numbers(), "]}")
    yield "words in enum", fill('{"enum":[', (f'"{word}"' for word in words), "]}")
    yield "objects in default", fill('{"default":[', ('{"%s":{}}' % key for key in keys()), "]}")
    yield "numbers in default", fill('{"default":[', numbers(), "]}")
    yield "keys in default", fill('{"default":{', ('"%s":0' % key for key in keys()), "}}")
    yield "escapes in title", '{"title":"' + "\\u0001" * (size // 6 - 4) + '"}'
    yield "one title", '{"title":"' + "x" * (size - 20) + '"}'
    yield "empty properties", fill('{"properties":{', ('"%s":{}' % key for key in keys()), "}}")
    yield "required properties", fill('{"required":[', ('"%s"' % key for key in keys()), "]}")
    yield "boolean properties", fill('{"properties":{', ('"%s":true' % key for key in keys()), "}}")
    yield "number properties", fill('{"properties":{', ('"%s":{"minimum":%d}' % (key, i) for i, key in enumerate(keys())), "}}")
    yield "formats", fill('{"properties":{', ('"%s":{"format":"uri"}' % key for key in keys()), "}}")
    yield "refs", fill('{"$defs":{"a":{"type":"null"}},"properties":{', ('"%s":{"$ref":"#/$defs/a"}' % key for key in keys()), "}}")
    yield "anchors", fill('{"$defs":{', ('"%s":{"$anchor":"%s"}' % (key, key) for key in keys()), "}}")
    yield "ids", fill('{"$defs":{', ('"%s":{"$id":"%s"}' % (key, key) for key in keys()), "}}")
    yield "anyOf of types", fill('{"anyOf":[', ('{"type":"%s"}' % kind for _ in keys() for kind in ("string", "null", "object")), "]}")
    yield "anyOf of empty", fill('{"anyOf":[', ("{}" for _ in keys()), "]}")
    yield "anyOf of const", fill('{"anyOf":[', ('{"const":%s}' % n for n in numbers()), "]}")
    yield "anyOf of objects", fill('{"anyOf":[', ('{"properties":{"%s":{"const":%d}}}' % (key, i) for i, key in enumerate(keys())), "]}")
    yield "allOf of empty", fill('{"allOf":[', ("{}" for _ in keys()), "]}")
    yield "allOf of properties", fill('{"allOf":[', ('{"properties":{"%s":{}}}' % key for key in keys()), "]}")
    yield "allOf of patterns", fill('{"type":"string","allOf":[', ('{"pattern":"%s"}' % word for word in words), "]}")
    yield "allOf of anyOf", '{"allOf":[' + ",".join(['{"anyOf":[{},{"title":""}]}'] * 62) + ',{"anyOf":[false]}]}'
    yield "prefixItems", fill('{"type":"array","prefixItems":[', ('{"const":%s}' % n for n in numbers()), "]}")
    yield "patterns", fill('{"properties":{', ('"%s":{"pattern":"%s"}' % pair for pair in zip(keys(), words)), "}}")
    yield "patterns with lengths", fill('{"properties":{', ('"%s":{"pattern":"a|%s","maxLength":99}' % pair for pair in zip(keys(), words)), "}}")
    yield "ranges", fill('{"properties":{', ('"%s":{"type":"number","minimum":-0.%d,"maximum":%d.5}' % (key, i + 1, i + 7)
                                                  for i, key in enumerate(keys())), "}}")
    yield "multiples", fill('{"properties":{', ('"%s":{"type":"number","multipleOf":%d,"maximum":9999,"minimum":0}' % (key, i + 2)
                                                     for i, key in enumerate(keys())), "}}")
    yield "nested lists", nested(60, '{"items":', "{}", "}")
    yield "nested enums", '{"enum":[' + ",".join([nested(100, "[", "", "]")] * ((size - 20) // 201)) + "]}"
    yield "deep", nested(5000, '{"items":', "{}", "}")
    yield "one long pattern", json.dumps({"pattern": "".join(rng.choice("abc?*+") for _ in range(60000)).replace("**", "a")})
    yield "one long choice", json.dumps({"pattern": "^(" + "|".join(words[:6000]) + ")$"})
    yield "intersections", json.dumps({"type": "string", "allOf": [{"pattern": f".*{a}.*{b}.*"} for a in "abcdefgh" for b in "stuvwxyz"]})
    yield "counted intersections", json.dumps({"type": "string", "allOf": [{"pattern": f"^(.{{{n}}})*$"} for n in (7, 11, 13, 17, 19, 23)]})
    yield "keys that are patterns", json.dumps({"type": "object", "patternProperties": {f"({a}.*){{9}}": {} for a in "abcd"},
                                                "propertyNames": {"pattern": "x.{500}$"}, "minProperties": 3})
    yield "lengths of keys", json.dumps({"propertyNames": {"minLength": 99990, "maxLength": 99999}, "additionalProperties": {"maxLength": 99999}})
    yield "64 keys, few of them", json.dumps({"properties": {key: {} for key, _ in zip(keys(), range(64))}, "minProperties": 30, "maxProperties": 40})


def regexes():
    rng = random.Random(2)
    yield "(.{1000}){1000}", "(.{1000}){1000}"
    yield "((a?){300}){300}", "((a?){300}){300}a{300}"
    yield "[ab]*a[ab]{2000}", "[ab]*a[ab]{2000}"
    yield "many repeats", "".join(f"[{a}-z]{{0,{n}}}" for n in range(1, 300) for a in "abcdefgh")
    yield "many classes", "".join(r"\p{L}[^\W]" for _ in range(6000))
    yield "many classes of a set", "[" + r"\pL" * 20000 + "]"
    yield "many classes out of a set", "[^" + r"\w" * 30000 + "]"
    yield "many folded classes of a set", "(?i)[" + r"\pL" * 20000 + "]"
    yield "folded", "(?i)" + "".join(rng.choice(string.ascii_letters) for _ in range(60000))
    yield "sets", "".join(f"[\\x{{{n:x}}}-\\x{{{n + 300:x}}}]" for n in range(256, 4000))
    yield "choice of texts", "|".join("".join(rng.choice("ab") for _ in range(12)) for _ in range(5000))
    yield "suffixes", "(" + "|".join(".*" + "".join(rng.choice("ab") for _ in range(9)) for _ in range(4000)) + ")x"
    yield "deep groups", "(" * 5000 + "a" + ")" * 5000
    yield "64 groups of choices", "(a|" * 60 + "b" + ")*" * 60


def gbnfs(size):
    def fill(make, root="root ::= r0\n"):
        out, length = [root], len(root)
        for n in range(1 << 30):
            rule = make(n)
            if length + len(rule) > size:
                return "".join(out)
            out.append(rule)
            length += len(rule)

    yield "many rules", fill(lambda n: f'r{n} ::= "a"\n')
    yield "a chain of rules", fill(lambda n: f'r{n} ::= "a" r{n + 1}\n') + 'end ::= "b"\n'
    yield "choices of rules", fill(lambda n: f'r{n} ::= "a" r{n // 2} | "b" r{n // 3} | "c"\n')
    yield "nullable rules", fill(lambda n: f"r{n} ::= r{max(n // 2, 1)}? r{n // 3 + 2}*\n", "root ::= r1 r2\n")
    yield "left recursion", fill(lambda n: f'r{n} ::= r{n // 2}? "a"\n')
    yield "sets", fill(lambda n: f"r{n} ::= [\\u{n % 50000 + 256:04x}-\\uFFFF]\n")
    yield "one text", 'root ::= "' + "a" * (size - 20) + '"\n'
    yield "sequences", "root ::= " + '"a" ' * (size // 4 - 10) + "\n"
    yield "alternatives", "root ::= " + "|".join(f'"{n}"' for n in range(size // 9)) + "\n"
    yield "open sequences", "root ::= " + '"a"? ' * (size // 5 - 10) + "\n"
    yield "counts", "root ::= " + '("a"{1,1000} "b"?){2,500} ' * (size // 30) + "\n"
    yield "ways to read", "root ::= " + "a " * 100 + '"x"\na ::= ' + "|".join(['"a"* "a"*'] * 100) + "\n"


def choices(size):
    rng = random.Random(3)
    yield "numbers", [str(n) for n in range(size // 9)]
    yield "words", ["".join(rng.choice(string.ascii_lowercase) for _ in range(8)) for _ in range(size // 11)]
    yield "prefixes", ["a" * (n % 500) + str(n) for n in range(size // 260)]
    yield "empty", [""] * (size // 3)


def bodies(size):
    """name -> body of a request."""
    def body(field):
        return '{"prompt":"a","max_tokens":1,' + field + "}"

    for name, text in schemas(size):
        yield "schema: " + name, body('"json_schema":' + text)
        yield "schema as a string: " + name, body('"json_schema":' + json.dumps(text))
    for name, text in regexes():
        yield "regex: " + name, body('"guided_regex":' + json.dumps(text))
    for name, text in gbnfs(size):
        yield "gbnf: " + name, body('"grammar":' + json.dumps(text))
    for name, texts in choices(size):
        yield "choice: " + name, body('"guided_choice":' + json.dumps(texts, separators=(",", ":")))
    half = joined(('{"%s":{}}' % key for key in keys()), size // 2, "[", "]")
    yield "schema and as much beside it", body('"json_schema":{"enum":%s},"stop":%s' % (half, half))


def thread_times(pid):
    out = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                out[task] = int(file.read().split()[0])
        except OSError:
            pass
    return out


def post(port, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    connection.close()
    return answer.status, text


def measure(daemon, body):
    """Milliseconds of the busiest thread of the pool and of the loop, status, answer."""
    pid = daemon.process.pid
    before = thread_times(pid)
    status, text = post(daemon.port, body)
    spent = {task: (now - before.get(task, 0)) / 1e6 for task, now in thread_times(pid).items()}
    loop = spent.pop(str(pid), 0)
    return max(spent.values(), default=0), loop, status, text


def main():
    parser = command.parser(__doc__, further=True)
    parser.add_argument("--rounds", type=int, default=5, help="of which the least counts")
    parser.add_argument("--only", default="", help="bodies whose names have it")
    parser.add_argument("--most", type=float, default=100, help="milliseconds")
    parser.add_argument("--sizes", default="4194304,2097152,1048576,262144,65536", help="bytes of a body, about")
    options, further = parser.parse_known_args()
    daemon = client.Daemon(options.program, options.model, *further)
    found = []
    for size in map(int, options.sizes.split(",")):
        for name, body in bodies(size - 100):
            if options.only not in name:
                continue
            rounds = [measure(daemon, body.encode()) for _ in range(options.rounds)]
            least, loop = min(r[0] for r in rounds), min(r[1] for r in rounds)
            status, text = rounds[-1][2:]
            why = json.loads(text)["error"]["message"] if status != 200 else ""
            found.append((least, name, size))
            print(f"{least:7.1f} {max(r[0] for r in rounds):7.1f} {loop:6.1f} {len(body):8} {status} {name}: {why[:110]}", flush=True)
    daemon.stop()
    print("\nworst:")
    for least, name, size in sorted(found, reverse=True)[:25]:
        print(f"{least:7.1f} {size:8} {name}")
    return 1 if found and max(found)[0] > options.most else 0


if __name__ == "__main__":
    sys.exit(main())
