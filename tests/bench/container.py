#!/usr/bin/env python3
"""The daemon in a container of 1 GiB, a small pod's limit: every mix of large bodies, long answers
and readers that do not read must be answered with 200, 400, 413 or 429, and must not end it.

    tests/bench/container.py build/release/prenormd deploy/models/tales [--limit-mib 1024] [--starts 3] [OPTION...]

As root, with a memory cgroup (version 1 or 2) that lets itself be written; elsewhere the limit is RLIMIT_DATA, and the peak
is that of the resident memory. Further options are the daemon's. The start is repeated in the same group: each must find a
cache of the same size. Standard library only.
"""
import collections
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import re
import resource
import socket
import subprocess
import time

import command

ALLOWED = {200, 400, 413, 429}
BODY_BYTES = 4 << 20
MIB = 1 << 20


class Group:
    """A memory cgroup of our own below the root of the hierarchy, or None where there is no way to make one."""

    @staticmethod
    def make(limit):
        name = f"prenorm-container-{os.getpid()}"
        for kind, root in ((Group2, "/sys/fs/cgroup"), (Group1, "/sys/fs/cgroup/memory")):
            try:
                if (pathlib.Path(root) / kind.MARK).exists():
                    return kind(pathlib.Path(root) / name, limit)
            except OSError:
                continue
        return None

    def __init__(self, folder, limit):
        self.folder = folder
        folder.mkdir()
        try:
            (folder / self.LIMIT).write_text(str(limit))
        except OSError:
            folder.rmdir()
            raise

    def enter(self):
        (self.folder / "cgroup.procs").write_text("0")

    def kills(self):
        found = re.search(r"^oom_kill (\d+)", (self.folder / self.EVENTS).read_text(), re.MULTILINE)
        return int(found[1]) if found else 0

    def remove(self):
        for _ in range(100):
            try:
                return self.folder.rmdir()
            except OSError:
                time.sleep(0.1)


class Group1(Group):
    MARK, LIMIT, EVENTS = "memory.limit_in_bytes", "memory.limit_in_bytes", "memory.oom_control"


class Group2(Group):
    MARK, LIMIT, EVENTS = "cgroup.controllers", "memory.max", "memory.events"


class Daemon:
    def __init__(self, program, model, group, limit, options):
        def confine():
            if group:
                group.enter()
            else:
                resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        self.process = subprocess.Popen([program, "serve", "--model", model, "--port", "0", *options], text=True,
                                        stderr=subprocess.PIPE, preexec_fn=confine)
        self.port = self.cache = None
        self.plan = []
        for line in self.process.stderr:
            if found := re.search(r"listening on http://[^:]+:(\d+)", line):
                self.port = int(found[1])
            if found := re.search(r"(memory plan: .*|cache: .*)", line):
                self.plan.append(found[1])
            if found := re.search(r"cache: (\d+) pages", line):
                self.cache = int(found[1])
            if "  ready: " in line:
                break
        else:
            raise SystemExit(f"the daemon did not start: {line}\n" + "\n".join(self.plan))

    def memory_mib(self, key):
        """VmRSS now, VmHWM at its peak."""
        return int(re.search(rf"{key}:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024

    def is_alive(self):
        return self.process.poll() is None

    def stop(self):
        self.process.terminate()
        self.process.stderr.close()
        return self.process.wait()


def post(port, body, route="/v1/completions", timeout=600):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.request("POST", route, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    length = len(answer.read())
    connection.close()
    return answer.status, length


def read_slowly(port, body, seconds):
    """A stream of which a little is read, then nothing for a while, then the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=600) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
                           b"Content-Length: %d\r\n\r\n" % len(body) + body)
        head = connection.recv(64)
        time.sleep(seconds)
        return int(head[9:12]), 0


def array_of(element):
    count = (BODY_BYTES - 64) // (len(element) + 1)
    return b'{"prompt":[' + b",".join([element] * count) + b"]}"


def completion(**fields):
    return json.dumps(fields).encode()


def bodies(vocabulary, tokens):
    """Name -> (body, how many at once)."""
    dice = random.Random(1)
    ids = [dice.randrange(vocabulary) for _ in range(200)]
    prompts = [[dice.randrange(vocabulary) for _ in range(dice.randrange(1, 200))] for _ in range(8)]
    story = "Once upon a time there was a king. "
    keys = ",".join(f'"{i}":1' for i in range(340000))
    return {
        "empty objects": (array_of(b"{}"), 12),
        "empty arrays": (array_of(b"[]"), 12),
        "nested arrays": (array_of(b"[[[[1]]]]"), 12),
        "empty texts": (array_of(b'""'), 12),
        "one-digit ids": (array_of(b"1"), 12),
        "honest ids": (array_of(str(vocabulary - 1).encode()), 16),
        "text of 3.5 MB": (completion(prompt=story * 100000, max_tokens=4), 32),
        "one word of 3.5 MB": (completion(prompt="a" * 3500000, max_tokens=4), 32),
        "signs, 3.5 MB": (completion(prompt="a." * 1750000, max_tokens=4), 32),
        "long id prompts": (completion(prompt=ids, max_tokens=4), 32),
        "128 prompts": (completion(prompt=[story * 10] * 128, max_tokens=2), 8),
        "logit biases": (b'{"prompt":"a","max_tokens":2,"logit_bias":{' + keys.encode() + b"}}", 16),
        "stop strings": (completion(prompt="a", n=16, stop=["ab" * 2047 + chr(65 + i) for i in range(16)], max_tokens=8), 32),
        "large answers": (completion(prompt=prompts, n=16, logprobs=20, echo=True, max_tokens=tokens, ignore_eos=True), 16),
        "deep": (b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}", 8),
    }


def tokenizer_bodies(vocabulary):
    """The same for the routes of the tokenizer: name -> (route, body, how many at once)."""
    dice = random.Random(4)
    ids = [dice.randrange(vocabulary) for _ in range(500000)]
    return {
        "/tokenize of 3.5 MB": ("/tokenize", completion(prompt="Once upon a time " * 205000), 16),
        "/tokenize with texts": ("/tokenize", completion(prompt="a." * 400000, return_token_strs=True), 16),
        "/detokenize of half a million ids": ("/detokenize", completion(tokens=ids), 16),
        "/detokenize of empty objects": ("/detokenize", array_of(b"{}").replace(b"prompt", b"tokens"), 12),
    }


def count(results):
    return dict(sorted(collections.Counter(results).items(), key=str))


class Attack:
    def __init__(self, daemon, options):
        self.daemon, self.options, self.failures = daemon, options, []

    def check(self, name, outcomes):
        statuses, failed = [], []
        for outcome in outcomes:
            try:
                statuses.append(outcome.result()[0])
            except (OSError, http.client.HTTPException, ValueError) as error:
                failed.append(type(error).__name__)
        self.failures += [f"{name}: {wrong}" for wrong in failed + [s for s in statuses if s not in ALLOWED]]
        print(f"  {name}: {count(statuses + failed)}, resident {self.daemon.memory_mib('VmRSS'):.0f} MiB"
              if self.daemon.is_alive() else f"  {name}: {count(statuses + failed)}", flush=True)
        if not self.daemon.is_alive():
            raise SystemExit(f"FAILED: the daemon ended with {self.daemon.process.wait()} at '{name}'")

    def run(self, vocabulary):
        slow = completion(prompt="Once upon a time", n=8, logprobs=20, max_tokens=1000, ignore_eos=True, stream=True)
        named = bodies(vocabulary, self.options.answer_tokens)
        port = self.daemon.port
        with concurrent.futures.ThreadPoolExecutor(512) as pool:
            for name, (body, times) in named.items():
                self.check(name, [pool.submit(post, port, body) for _ in range(times)])
            routes = tokenizer_bodies(vocabulary)
            for name, (route, body, times) in routes.items():
                self.check(name, [pool.submit(post, port, body, route) for _ in range(times)])
            self.check("slow readers", [pool.submit(read_slowly, port, slow, 5) for _ in range(100)])
            mixed = [pool.submit(read_slowly, port, slow, 5) for _ in range(60)]
            order = [(body,) for body, times in named.values() for _ in range(min(times, 12))]
            order += [(body, route) for route, body, times in routes.values() for _ in range(min(times, 12))]
            random.Random(2).shuffle(order)
            self.check("all at once", mixed + [pool.submit(post, port, *sent) for sent in order])


def settle(daemon, most):
    """Resident memory once it has fallen to so much, or after a while."""
    for _ in range(100):
        if daemon.memory_mib("VmRSS") <= most:
            break
        time.sleep(0.2)
    return daemon.memory_mib("VmRSS")


def fill_cache(daemon, vocabulary):
    """Different prompts until the cache's pages have all been written: what is resident afterwards is to stay."""
    dice = random.Random(3)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(post, daemon.port, completion(prompt=[dice.randrange(vocabulary) for _ in range(400)],
                                                           max_tokens=4)) for _ in range(100)]
        return count(outcome.result()[0] for outcome in asked)


def main():
    parser = command.parser(__doc__, further=True)
    parser.add_argument("--limit-mib", type=int, default=1024, help="of the container")
    parser.add_argument("--starts", type=int, default=3, help="of the daemon, on the machine as the one before left it; the last is put under load")
    parser.add_argument("--growth-mib", type=float, default=48, help="resident memory may have grown by so much in the end")
    parser.add_argument("--answer-tokens", type=int, default=200, help="tokens of each of 2,048 large answers")
    options, more = parser.parse_known_args()
    limit, caches = options.limit_mib * MIB, []
    group = Group.make(limit)
    print(f"limit {options.limit_mib} MiB by {group.folder if group else 'RLIMIT_DATA'}")
    try:
        for _ in range(options.starts - 1):
            daemon = Daemon(options.program, options.model, group, limit, more)
            caches.append(daemon.cache)
            daemon.stop()
        daemon = Daemon(options.program, options.model, group, limit, more)
        caches.append(daemon.cache)
        print("\n".join(daemon.plan))
        attack = Attack(daemon, options)
        vocabulary = json.load(open(pathlib.Path(options.model) / "config.json"))["vocab_size"]
        print(f"  the cache is filled: {fill_cache(daemon, vocabulary)}")
        before = daemon.memory_mib("VmRSS")
        attack.run(vocabulary)
        after, peak = settle(daemon, before + options.growth_mib), daemon.memory_mib("VmHWM")
        code = daemon.stop()
        kills = group.kills() if group else 0
    finally:
        if group:
            group.remove()
    failures = attack.failures[:10]
    if after > before + options.growth_mib:
        failures.append(f"resident memory was {before:.0f} MiB before and {after:.0f} MiB after")
    if peak >= options.limit_mib:
        failures.append(f"resident memory rose to {peak:.0f} MiB")
    if kills or code != 0:
        failures.append(f"{kills} processes were killed, the daemon ended with {code}")
    if len(set(caches)) > 1:
        failures.append("not every start found the same cache")
    print(f"resident: {before:.0f} MiB before, {peak:.0f} MiB at most, {after:.0f} MiB after; pages of the cache at each start: "
          f"{caches}")
    for failure in failures:
        print("FAILED:", failure)
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
