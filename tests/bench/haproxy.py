#!/usr/bin/env python3
"""deploy/haproxy/haproxy.cfg before three daemons under load: tests/bench/haproxy.py PROGRAM MODEL [--clients N] [--round N]

Departures: clients on kept-alive connections, half of them streams, half of the bodies of 100 KB, while one daemon is killed and
started again, one leaves by SIGTERM with lame duck, and one is restarted in its place. Lost may be what the killed one held,
by HAProxy's own log, and nothing else; equal requests must have equal answers from whoever. Then prefix affinity: the share
of cached prompt tokens with the file as it is, and with leastconn. The exit code is 1 where either does not hold.

Each departure waits for a number of answers, not for a time. --bufsize and --retry-on try what the file's own values are for."""
import argparse
import collections
import http.client
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
import command  # noqa: E402
from client import Daemon  # noqa: E402 - the folder has just been named

CONFIG = os.path.join(ROOT, "deploy", "haproxy", "haproxy.cfg")
OPTIONS = ["--threads", "1", "--lame-duck-seconds", "5", "--trusted-proxy", "127.0.0.1"]
LARGE_BYTES = 100_000
TOKENS = 40
LIMIT_SECONDS = 300  # for a condition that must come about; no figure depends on it


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, what):
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {LIMIT_SECONDS} s")
        time.sleep(0.05)


class Balancer:
    """HAProxy with the file of deploy/, but for ports, and for what `changes` (pattern, text) says. It gets its port as an open
    socket, so that nobody can take it meanwhile; `control` answers questions about its servers."""

    def __init__(self, folder, ports, changes=()):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.socket.getsockname()[1]
        self.control = os.path.join(folder, "control")
        self.log_path = os.path.join(folder, "haproxy.log")
        with open(CONFIG, encoding="utf-8") as file:
            text = file.read()
        ports = iter(ports)
        changes = [(r"bind 127\.0\.0\.1:\d+", f"bind fd@{self.socket.fileno()}"), (r"^global$", f"global\n    stats socket {self.control}"),
                   (r"(server \w+ 127\.0\.0\.1):\d+", lambda found: f"{found[1]}:{next(ports)}"), *changes]
        for pattern, new in changes:
            text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
            if not count:
                raise SystemExit(f"{CONFIG} has no {pattern}")
        path = os.path.join(folder, "haproxy.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(["haproxy", "-db", "-f", path], stdout=log, stderr=log, pass_fds=[self.socket.fileno()])

    def states(self):
        """What the checks say, UP or DOWN, in the order of the file."""
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(self.control)
            except OSError:
                return []
            s.sendall(b"show stat\n")
            rows = [line.split(",") for line in s.makefile(encoding="utf-8")]
        return [row[17].split()[0] for row in rows if row[0] == "prenorm" and row[1] not in ("BACKEND", "FRONTEND")]

    def servers(self):
        """By id of the request: which server had it, and how it ended there (a line of option httplog)."""
        with open(self.log_path, encoding="utf-8") as file:
            found = re.finditer(r" prenorm/(\S+) \S+ (\S+) \d+ - - (\S+) \S+ \S+ \{([^}|]*)\}", file.read())
            return {m[4]: (m[1], f"{m[2]} {m[3]}") for m in found}

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.socket.close()


def start(program, model, *options, port=0):
    daemon = Daemon(program, model, *OPTIONS, *options, "--port", str(port))
    threading.Thread(target=daemon.process.stderr.read, daemon=True).start()
    return daemon


def ask(connection, fields, request_id, path="/v1/completions"):
    """(status, headers, body); raises OSError or HTTPException where the connection breaks."""
    connection.request("POST", path, json.dumps(fields), {"Content-Type": "application/json", "X-Request-Id": request_id})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()


def text_of(fields, body):
    """The text of a complete answer, None of one that was cut off."""
    if not fields.get("stream"):
        return json.loads(body)["choices"][0]["text"]
    chunks = [line[6:] for line in body.splitlines() if line.startswith("data: ")]
    if not chunks or chunks[-1] != "[DONE]" or '"error"' in chunks[-2]:
        return None
    return "".join(json.loads(chunk)["choices"][0]["text"] for chunk in chunks[:-1])


class Load:
    """Clients that ask one thing after another until they are told to stop."""

    def __init__(self, port, clients):
        self.port, self.stopped, self.lock = port, threading.Event(), threading.Lock()
        self.answers, self.lost, self.texts, self.differing = collections.Counter(), [], {}, []
        self.killed = None  # when; what began later cannot have been held by who was dead by then
        self.threads = [threading.Thread(target=self.client, args=(k,), daemon=True) for k in range(clients)]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def request(number):
        """Half of them streams, half of them large; few different ones, so that answers can be compared."""
        topic = ("king", "dog", "girl", "tree", "house")[number // 4 % 5]
        fields = {"prompt": f"Once upon a time there was a {topic}", "max_tokens": TOKENS, "temperature": 0, "ignore_eos": True}
        if number % 2:
            fields["stream"] = True
        if number // 2 % 2:
            fields["prompt"] = "x " * (LARGE_BYTES // 2) + fields["prompt"]
            fields["truncate_prompt_tokens"] = 64
        return fields

    def client(self, who):
        connection, number = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_SECONDS), who
        while not self.stopped.is_set():
            number += 1
            fields, request_id = self.request(number), f"load-{who}-{number}"
            began = time.monotonic()
            kind = ("stream" if "stream" in fields else "whole") + (", 100 KB" if "truncate_prompt_tokens" in fields else "")
            try:
                status, _, body = ask(connection, fields, request_id)
                text = text_of(fields, body) if status == 200 else None
                why = f"status {status}: {body[:120]}" if status != 200 else "cut off"
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                text, why = None, repr(error)
            self.note(kind, fields["prompt"], text, (request_id, why, began))

    def note(self, kind, prompt, text, loss):
        """loss: id, why and when it began, should it be one."""
        with self.lock:
            if text is None:
                self.lost.append((kind, *loss))
                return
            self.answers[kind] += 1
            if self.texts.setdefault(prompt, text) != text:
                self.differing.append(loss[0])

    def total(self):
        return sum(self.answers.values())

    def wait(self, more):
        """Until so many more answers have come."""
        goal = self.total() + more
        wait_for(lambda: self.total() >= goal, f"{more} more answers")

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def depart(balancer, daemons, load, args):
    """The daemons leave in three ways."""
    def again(k):
        daemons[k] = start(args.program, args.model, *args.options, port=daemons[k].port)
        wait_for(lambda: balancer.states()[k] == "UP", f"server {k + 1} is back")
        load.wait(args.round)

    load.wait(args.round)
    print(f"after {load.total()} answers: one is killed", flush=True)
    daemons[0].process.kill()
    daemons[0].process.wait()
    load.killed = time.monotonic()
    load.wait(args.round)
    again(0)
    print(f"after {load.total()} answers: two gets SIGTERM", flush=True)
    daemons[1].process.terminate()
    load.wait(args.round)
    if code := daemons[1].process.wait():
        raise SystemExit(f"the one that drained ended with {code}")
    load.wait(args.round)
    again(1)
    print(f"after {load.total()} answers: three is restarted", flush=True)
    if code := daemons[2].stop():
        raise SystemExit(f"the one that was restarted ended with {code}")
    again(2)


def departures(folder, args, changes):
    """Whether nothing was lost but what the killed one held."""
    daemons = [start(args.program, args.model, *args.options) for _ in range(3)]
    balancer = Balancer(folder, [d.port for d in daemons], changes)
    try:
        wait_for(lambda: balancer.states() == ["UP"] * 3, "three servers up")
        load = Load(balancer.port, args.clients)
        depart(balancer, daemons, load, args)
        load.stop()
    finally:
        balancer.stop()
        for daemon in daemons:
            daemon.process.kill()
    return judge(load, balancer.servers())


def judge(load, servers):
    held = [loss for loss in load.lost if servers.get(loss[1], ("?",))[0] == "one" and loss[3] < load.killed]
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(load.answers.items())))
    taken = collections.Counter(name for name, _ in servers.values())
    print("requests by server: " + ", ".join(f"{name} {count}" for name, count in sorted(taken.items())))
    print(f"answers {load.total()}, lost {len(load.lost)}, of them held by the killed one {len(held)} of at most {len(load.threads)}")
    for kind, request_id, why, _ in load.lost:
        print(f"  {request_id} ({kind}), {' '.join(servers.get(request_id, ('not in the log',)))}: {why}")
    print(f"equal requests with different answers: {len(load.differing)}")
    return len(held) == len(load.lost) <= len(load.threads) and not load.differing


def shared_prompts():
    """Sixty beginnings of 200 words, six prompts of each, in a random order that is always the same."""
    draw = random.Random(7)
    words = ("king", "dog", "tree", "house", "river", "girl", "bread", "gold")
    beginnings = [" ".join(draw.choice(words) for _ in range(200)) for _ in range(60)]
    prompts = [f"{beginning} and {k}" for beginning in beginnings for k in range(6)]
    draw.shuffle(prompts)
    return prompts


def cached_share(folder, args, changes):
    """Prompts that share beginnings, over daemons whose cache has room for a part of them: the share of cached tokens."""
    daemons = [start(args.program, args.model, *args.options, "--kv-cache-mib", "60") for _ in range(3)]
    balancer = Balancer(folder, [d.port for d in daemons], changes)
    prompts, lock, counts = shared_prompts(), threading.Lock(), collections.Counter()

    def client():
        connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=LIMIT_SECONDS)
        while True:
            with lock:
                if not prompts:
                    return
                prompt = prompts.pop()
            status, _, body = ask(connection, {"prompt": prompt, "max_tokens": 8, "temperature": 0}, f"prefix-{len(prompts)}")
            with lock:
                counts[status] += 1
                if status == 200:
                    usage = json.loads(body)["usage"]
                    counts["prompt"] += usage["prompt_tokens"]
                    counts["cached"] += usage["prompt_tokens_details"]["cached_tokens"]

    try:
        wait_for(lambda: balancer.states() == ["UP"] * 3, "three servers up")
        started = time.monotonic()
        threads = [threading.Thread(target=client) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - started
        cpu = sum(d.cpu_seconds() for d in daemons)
    finally:
        balancer.stop()
        for daemon in daemons:
            daemon.process.kill()
    if counts[200] != 360:
        raise SystemExit(f"prompts with shared beginnings: {dict(counts)}")
    return counts["cached"] / counts["prompt"], seconds, cpu


def affinity(folder, args):
    least = [(r"^ *balance hash .*\n *hash-type .*\n *hash-balance-factor .*$", "    balance leastconn")]
    shares = {}
    for name, changes in (("affinity", []), ("leastconn", least)):
        shares[name], seconds, cpu = cached_share(folder, args, changes)
        print(f"{name}: {100 * shares[name]:.0f} % of the prompt tokens cached, {seconds:.1f} s, {cpu:.1f} s of CPU", flush=True)
    return shares["affinity"] > shares["leastconn"]


def arguments():
    parser = command.parser(__doc__)
    parser.add_argument("--clients", type=int, default=16, help="that ask at the same time")
    parser.add_argument("--round", type=int, default=200, help="answers between two departures")
    parser.add_argument("--bufsize", type=int, help="tune.bufsize instead of the file's")
    parser.add_argument("--retry-on", help="retry-on instead of the file's")
    parser.add_argument("--without", choices=["departures", "affinity"], action="append", default=[], help="leaves that part out")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="more options of the daemons")
    return parser.parse_args()


def main():
    args = arguments()
    if not shutil.which("haproxy"):
        print("haproxy is not installed (Debian package haproxy)")
        return 77
    changes = [(rf"^( *){name} .*$", rf"\g<1>{name} {value}")
               for name, value in (("tune.bufsize", args.bufsize), ("retry-on", args.retry_on)) if value]
    good = True
    with tempfile.TemporaryDirectory(prefix="prenorm-haproxy-") as folder:
        if "departures" not in args.without:
            good = departures(folder, args, changes)
        if "affinity" not in args.without:
            good = affinity(folder, args) and good
    print("haproxy: ok" if good else "haproxy: FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
