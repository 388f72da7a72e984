"""Streaming clients that cost next to nothing, for they share the cores with the server that they measure: one thread, epoll,
bytes are only collected while the clock runs. Each stream has a connection of its own. Closed loop: each connection sends its next request when the answer is there.
Open loop: requests are sent at times that were drawn before, whatever the server does; their times count from then on."""
import dataclasses
import random
import selectors
import socket
import time

import answers

READ_BYTES = 1 << 16
RETRY_S = 1.0  # who is refused in a closed loop comes again after that; wrk's script has the same
STALL_S = 120  # nothing at all for so long is an error


class Connection:
    """For one stream."""

    def __init__(self, port, due):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=STALL_S)
        self.recording = answers.Recording(due)


@dataclasses.dataclass
class Seen:
    """What all clients of a run saw."""
    seconds: float
    samples: list  # of answers.Sample: of a closed loop what ended within the time, of an open one whatever was sent
    unanswered: int  # broken connections, streams that were cut or had not ended long after the time


class Clients:
    def __init__(self, port, requests):
        self.port, self.requests = port, requests
        self.selector = selectors.EpollSelector()
        self.finished, self.broken = [], 0

    def send(self, due):
        connection = Connection(self.port, due)
        connection.socket.sendall(self.requests.next_bytes())
        self.selector.register(connection.socket, selectors.EVENT_READ, connection)

    def receive(self, timeout):
        """Waits for bytes once; returns the recordings of the answers that have ended, None for one that broke."""
        ended = []
        for key, _ in self.selector.select(max(0.0, timeout)):
            connection = key.data
            try:
                data = connection.socket.recv(READ_BYTES)
            except OSError:
                data = b""
            if data:
                connection.recording.add(data, time.perf_counter())
            if not data or answers.is_whole(connection.recording.data):
                ended.append(self.end(connection))
        return ended

    def end(self, connection):
        self.selector.unregister(connection.socket)
        connection.socket.close()
        recording = connection.recording
        if not answers.is_whole(recording.data):
            self.broken += 1
            return None
        self.finished.append(recording)
        return recording

    def under_way(self):
        return len(self.selector.get_map())

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def seen(self, seconds, unfinished):
        return Seen(seconds, [answers.read(recording) for recording in self.finished], self.broken + unfinished)


def closed_loop(port, requests, connections, seconds):
    """What has not ended with the time does not count, as with wrk."""
    clients = Clients(port, requests)
    until = time.perf_counter() + seconds
    again = [time.perf_counter()] * connections  # when who is not waiting for an answer sends the next request
    while (now := time.perf_counter()) < until:
        while again and again[0] <= now:
            clients.send(time.perf_counter())
            again.pop(0)
        for recording in clients.receive(min([until, *again[:1]]) - now):
            is_served = recording and answers.status_of(recording.data) == 200
            again.append(now if is_served else now + RETRY_S)
        again.sort()
    clients.close()
    return clients.seen(seconds, 0)


def poisson(rate, seconds, seed):
    """Times of arrivals, from 0 on."""
    dice, now, times = random.Random(seed), 0.0, []
    while (now := now + dice.expovariate(rate)) < seconds:
        times.append(now)
    return times


def open_loop(port, requests, times, seconds, patience):
    """Sends at those times, and then waits for what is under way, `patience` seconds at most."""
    clients = Clients(port, requests)
    started = time.perf_counter()
    due = [started + when for when in times]
    end, sent = started + seconds + patience, 0
    while (now := time.perf_counter()) < end and (sent < len(due) or clients.under_way()):
        while sent < len(due) and due[sent] <= now:
            clients.send(due[sent])
            sent += 1
        clients.receive((due[sent] if sent < len(due) else end) - now)
    unfinished = clients.under_way()
    clients.close()
    return clients.seen(max(seconds, time.perf_counter() - started), unfinished)
