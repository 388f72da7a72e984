#!/usr/bin/env python3
"""Asks every query of the Grafana dashboard of a Prometheus that scrapes two daemons under load: each must have an
answer for each of the two.

    tests/deploy/test_dashboard.py PROGRAM

Exit code 77 where Prometheus is not installed. Nothing depends on speed: queries are asked again until all have
answers, for LIMIT_SECONDS at most.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DASHBOARD = os.path.join(ROOT, "deploy/compose/grafana/dashboards/prenorm.json")
MODEL = os.path.join(ROOT, "deploy/models/tales")
LIMIT_SECONDS = 120


def start_daemon(program):
    """The process and its host:port."""
    process = subprocess.Popen([program, "serve", "--model", MODEL, "--port", "0", "--kv-cache-mib", "64", "--threads",
                                "1"], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        found = re.search(r"listening on http://(\S+)", line)
        if found:
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, found.group(1)
    raise SystemExit("the daemon does not start")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_prometheus(folder, targets):
    port = free_port()
    config = os.path.join(folder, "prometheus.yml")
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"global": {"scrape_interval": "1s"},
                   "scrape_configs": [{"job_name": "prenorm", "static_configs": [{"targets": targets}]}]}, file)
    process = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                                f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"])
    return process, f"http://127.0.0.1:{port}"


def load(targets, stopped):
    """Completions of the same prompt, streams, one that is refused, and one of structured output."""
    body = {"prompt": "Once upon a time there was a little girl who lived near a forest with her mother and her dog",
            "max_tokens": 12, "ignore_eos": True}
    while not stopped.is_set():
        for target in targets:
            for more in ({}, {"stream": True}, {"max_tokens": -1}, {"guided_regex": "[a-z ]+"}):
                request = urllib.request.Request(f"http://{target}/v1/completions", json.dumps({**body, **more}).encode(),
                                                 {"Content-Type": "application/json"})
                try:
                    urllib.request.urlopen(request, timeout=30).read()
                except OSError:  # also what is refused
                    pass
        stopped.wait(0.1)


def dashboard_queries():
    """(panel, query) with the variables replaced as Grafana does."""
    with open(DASHBOARD, encoding="utf-8") as file:
        dashboard = json.load(file)
    variables = {v["name"] for v in dashboard["templating"]["list"]}
    for name in ("instance", "model"):
        if name not in variables:
            raise SystemExit(f"the dashboard has no variable {name}")
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"]
            if "$instance" not in query:
                raise SystemExit(f"{panel['title']}: a query does not look at the variable: {query}")
            query = query.replace("$__rate_interval", "20s").replace("$instance", ".*").replace("$model", ".*")
            yield panel["title"], query


def instances_of(server, query):
    """Instances of which the answer has a number."""
    with urllib.request.urlopen(f"{server}/api/v1/query?" + urllib.parse.urlencode({"query": query}), timeout=30) as answer:
        result = json.load(answer)["data"]["result"]
    return {series["metric"].get("instance") for series in result if series["value"][1] != "NaN"}


def ask_all(server, targets):
    """What has no answer after all."""
    queries, end = list(dashboard_queries()), time.monotonic() + LIMIT_SECONDS
    print(f"{len(queries)} queries")
    while queries and time.monotonic() < end:
        try:
            queries = [q for q in queries if instances_of(server, q[1]) != set(targets)]
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError) and error.code == 400:
                raise SystemExit(f"a query is malformed: {error.read().decode()}") from None
        time.sleep(0.5)
    return queries


def main():
    if not shutil.which("prometheus"):
        print("prometheus is not installed (Debian package prometheus)")
        return 77
    stopped, processes = threading.Event(), []
    try:
        with tempfile.TemporaryDirectory(prefix="prenorm-dashboard-") as folder:
            daemons = [start_daemon(sys.argv[1]) for _ in range(2)]
            processes = [d[0] for d in daemons]
            targets = [d[1] for d in daemons]
            prometheus, server = start_prometheus(folder, targets)
            processes.append(prometheus)
            threading.Thread(target=load, args=(targets, stopped), daemon=True).start()
            left = ask_all(server, targets)
            stopped.set()
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()
    finally:
        stopped.set()
        for process in processes:
            process.kill()
    for title, query in left:
        print(f"{title}: no answer for both daemons: {query}")
    print("dashboard: ok" if not left else "dashboard: FAILED")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
