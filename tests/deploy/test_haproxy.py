#!/usr/bin/env python3
"""deploy/haproxy/haproxy.cfg before one daemon, while the other two of its servers are down: an answer comes through, a 429 with its
Retry-After too, and where nobody is left HAProxy's own 503 has the form of the daemon's errors. What decides on the server is the
beginning of a prompt or chat, in a large body too.

    tests/deploy/test_haproxy.py PROGRAM

Exit code 77 where HAProxy is not installed. tests/bench/haproxy.py tries it under load."""
import http.client
import json
import os
import shutil
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
import haproxy  # noqa: E402 - the folder has just been named

# Lets an answer say what its server was chosen by.
TELL = [(r"^( *)default_backend", r"\1http-response set-header X-Beginning <%[var(txn.beginning)]>\n\1default_backend")]
MODEL = os.path.join(ROOT, "deploy", "models", "tales")


def expect(what, found, expected):
    if found != expected:
        raise SystemExit(f"{what}: {found!r}, expected {expected!r}")


def refused(connection, what, status, code):
    """One more request is refused as the daemon would, with a time to come again."""
    found, headers, body = haproxy.ask(connection, {"prompt": "Once", "max_tokens": 1}, what)
    expect(what, found, status)
    expect(f"{what}: code", json.loads(body)["error"]["code"], code)
    if not int(headers["Retry-After"]) >= 1:
        raise SystemExit(f"{what}: Retry-After: {headers['Retry-After']}")
    return headers


def try_beginnings(connection):
    long = "Once upon a time, " + "far away, " * 10_000
    messages = [{"role": "system", "content": "Tell a tale."}, {"role": "user", "content": "Of whom?"}, {"role": "user", "content": "A king."}]
    for path, fields, beginning in (
            ("/v1/completions", {"prompt": "Once"}, "Once"), ("/v1/completions", {"model": "tales", "max_tokens": 1, "prompt": long}, long[:256]),
            ("/v1/completions", {"prompt": [1, 2, 3], "max_tokens": 1}, ""), ("/infill", {"input_suffix": "b", "input_prefix": "a"}, "a"),
            ("/v1/chat/completions", {"messages": messages}, "Tell a tale.Of whom?"),
            ("/v1/chat/completions", {"messages": messages[1:2]}, "Of whom?"), ("/tokenize", {"prompt": "Once"}, "")):
        _, headers, _ = haproxy.ask(connection, fields, "beginning", path)
        expect(f"{path} {str(fields)[:40]}: its server is chosen by", headers["X-Beginning"], f"<{beginning}>")


def try_it(balancer, daemon):
    connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=haproxy.LIMIT_SECONDS)
    for path, fields in (("/v1/completions", {"prompt": "Once upon a time"}), ("/v1/completions", {"prompt": [1, 2, 3]}),
                         ("/tokenize", {"prompt": "Once"})):
        status, headers, _ = haproxy.ask(connection, fields, "through", path)
        expect(f"{path}", (status, headers["X-Request-Id"]), (200, "through"))
    expect("server of the request", balancer.servers()["through"][0], "two")
    try_beginnings(connection)
    # The only request that a client may have under way: minutes of work, which end with the daemon.
    slow = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=haproxy.LIMIT_SECONDS)
    body = {"prompt": ["Once"] * 32, "n": 128, "max_tokens": 500, "ignore_eos": True, "stream": True}
    slow.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    slow.getresponse().fp.readline()
    headers = refused(connection, "one-too-many", 429, "client_limit")
    expect("one-too-many: X-Request-Id", headers["X-Request-Id"], "one-too-many")
    slow.close()
    daemon.process.kill()
    daemon.process.wait()
    haproxy.wait_for(lambda: "UP" not in balancer.states(), "all servers down")
    refused(connection, "nobody-left", 503, "no_server")


def main():
    if not shutil.which("haproxy"):
        print("haproxy is not installed (Debian package haproxy)")
        return 77
    daemon = haproxy.start(sys.argv[1], MODEL, "--kv-cache-mib", "64", "--max-requests-per-client", "1", "--max-n", "128",
                           "--max-choices", "4096", "--max-queue", "4096")
    try:
        with tempfile.TemporaryDirectory(prefix="prenorm-haproxy-") as folder:
            balancer = haproxy.Balancer(folder, [haproxy.free_port(), daemon.port, haproxy.free_port()], TELL)
            try:
                haproxy.wait_for(lambda: "UP" in balancer.states(), "a server up")
                try_it(balancer, daemon)
            finally:
                balancer.stop()
    finally:
        daemon.process.kill()
    print("haproxy: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
