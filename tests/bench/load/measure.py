"""One server under one load."""
import os
import pathlib
import re
import resource
import time

import answers
import clients
import figures
import servers
import wrk
from workloads import Requests

STREAMING_SHARE = 4  # one in so many connections is the streaming client's, the others are wrk's
ANSWERS_A_CONNECTION = 5  # what has not ended with the time is lost for the figures: answers need room in it
LENGTHENED_MAX = 10  # ... but a point takes no more than so many times its seconds
PATIENCE = 5  # an open loop waits for its last answers so many times its seconds
SETTLE_S = 120
HEALTH_SCRIPT, REQUESTS_SCRIPT = "health.lua", "requests.lua"


class Subject:
    """A server that is up, and what to ask of it."""

    def __init__(self, server, vocabulary):
        self.server, self.vocabulary = server, vocabulary
        self.name, self.port = server.program.name, server.port
        self.answer_s = 0.0  # about as long as an answer took, at the load before

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def settle(self):
        """Clients that are gone are forgotten once a request is served again."""
        end = time.monotonic() + SETTLE_S
        fields = {"prompt": [servers.FIRST_TEXT_ID], "max_tokens": 1}
        while self.server.request("POST", "/v1/completions", fields)[0] != 200:
            if time.monotonic() > end:
                raise answers.BadAnswer(f"{self.name} answers no request {SETTLE_S} s after a load has ended")
            time.sleep(0.1)

    def length_of(self, seconds, connections, before):
        """Seconds of a point: longer where answers are slow."""
        expected = self.answer_s * connections / before if before else 0
        return min(max(seconds, ANSWERS_A_CONNECTION * expected), LENGTHENED_MAX * seconds)


def own_cpu_seconds():
    """Of this process, and of wrk once it has ended."""
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


class Clock:
    """Processor time of both sides within `with`."""

    def __init__(self, subject):
        self.subject = subject

    def __enter__(self):
        self.started, self.server, self.client = time.perf_counter(), self.subject.cpu_seconds(), own_cpu_seconds()
        return self

    def __exit__(self, *_):
        seconds = time.perf_counter() - self.started
        self.server_cores = (self.subject.cpu_seconds() - self.server) / seconds
        self.client_cores = (own_cpu_seconds() - self.client) / seconds
        self.resident_mib = self.subject.resident_mib()

    def facts(self):
        return {"resident_mib": self.resident_mib, "server_cores": self.server_cores, "client_cores": self.client_cores}


def health(subject, connections, seconds):
    with Clock(subject) as clock:
        counted = wrk.run(subject.port, HEALTH_SCRIPT, connections, round(seconds), "/health")
    return figures.Point(subject.name, connections, counted.seconds, counted.answers, counted.refused,
                         counted.failed + counted.unanswered, 0, [], [], counted.histogram, **clock.facts())


def closed(subject, workload, connections, seconds, seed):
    """A share of the connections is the streaming client's, the others are wrk's, for as long."""
    streaming = max(1, connections // STREAMING_SHARE)
    requests = Requests(workload, subject.vocabulary, seed)
    counted, seconds = wrk.Counted(), max(1, round(seconds))
    with Clock(subject) as clock:
        if connections > streaming:
            with wrk.Wrk(subject.port, REQUESTS_SCRIPT, connections - streaming, seconds, "/v1/completions",
                         workload.arguments(subject.vocabulary, seed)) as running:
                seen = clients.closed_loop(subject.port, requests, streaming, seconds)
            counted = running.counted
        else:
            seen = clients.closed_loop(subject.port, requests, streaming, seconds)
    told = figures.together(figures.of_samples(seen.samples), counted)
    told["lost"] += seen.unanswered
    point = figures.Point(subject.name, connections, seconds, **told, **clock.facts())
    subject.answer_s = figures.percentile(point.total, 50) or seconds
    subject.settle()
    return point


def open_loop(subject, workload, rate, seconds, seed):
    """Rates are of what was answered, over the time until the last answer."""
    times = clients.poisson(rate, seconds, seed)
    with Clock(subject) as clock:
        seen = clients.open_loop(subject.port, Requests(workload, subject.vocabulary, seed), times, seconds,
                                 PATIENCE * seconds)
    told = figures.of_samples(seen.samples)
    told["lost"] += seen.unanswered
    point = figures.Point(subject.name, rate, seen.seconds, **told, **clock.facts())
    subject.settle()
    return point
