#!/usr/bin/env python3
"""The figures of the load report: reading recorded answers, percentiles, tables and, where gnuplot is installed, pictures. Starts no
server, measures nothing."""
import pathlib
import random
import shutil
import socket
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path += [str(HERE)]
# pylint: disable=wrong-import-position
import answers  # noqa: E402
import clients  # noqa: E402
import figures  # noqa: E402
import pictures  # noqa: E402
import workloads  # noqa: E402
import wrk  # noqa: E402

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}"


def event(text):
    return b'data: {"choices":[{"text":"%s"}]}\n\n' % text


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":3}}\n\n'
END = b"data: [DONE]\n\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST = b"0\r\n\r\n"


def record(*pieces):
    """A recording that began at time 10, a piece at each second after that."""
    recording = answers.Recording(10.0)
    for i, piece in enumerate(pieces):
        recording.add(piece, 11.0 + i)
    return recording


class Answers(unittest.TestCase):
    def test_times_of_tokens(self):
        sample = answers.read(record(HEAD, chunk(event(b"a")), chunk(event(b"")), chunk(event(b"b") + event(b"c")),
                                     chunk(USAGE + END) + LAST))
        self.assertEqual((sample.status, sample.first, sample.total, sample.tokens), (200, 2.0, 5.0, 3))
        self.assertEqual(sample.gaps, [2.0, 0.0])

    def test_an_event_counts_when_its_end_is_there(self):
        data = event(b"a")
        cut_by_chunks = answers.read(record(HEAD + chunk(data[:9]), chunk(data[9:]), chunk(USAGE + END) + LAST))
        self.assertEqual(cut_by_chunks.first, 2.0)
        whole = chunk(data)
        cut_by_reads = answers.read(record(HEAD + whole[:20], whole[20:-2], whole[-2:] + chunk(USAGE + END) + LAST))
        self.assertEqual(cut_by_reads.first, 2.0)

    def test_any_cut_gives_the_same_tokens(self):
        data = HEAD + chunk(event(b"a") + event(b"b")) + chunk(event(b"c") + USAGE) + chunk(END) + LAST
        for cut in range(1, len(data)):
            sample = answers.read(record(data[:cut], data[cut:]))
            self.assertEqual((sample.tokens, len(sample.gaps)), (3, 2))

    def test_whole(self):
        data = HEAD + chunk(event(b"a")) + LAST
        self.assertEqual([answers.is_whole(data[:n]) for n in range(len(data) + 1)].count(True), 1)
        self.assertEqual([answers.is_whole(REFUSAL[:n]) for n in range(len(REFUSAL) + 1)].count(True), 1)

    def test_refusal(self):
        self.assertEqual(answers.read(record(REFUSAL)).status, 429)

    def test_a_stream_that_fails_is_no_answer(self):
        self.assertEqual(answers.read(record(HEAD + chunk(b'data: {"error":{"message":"x"}}\n\n') + LAST)).status, 500)

    def test_bad(self):
        for data in (b"nonsense\r\n\r\n", HEAD + b"5\r\nab", HEAD + chunk(event(b"a")) + LAST,
                     HEAD + chunk(USAGE + END) + LAST):
            with self.assertRaises(answers.BadAnswer):
                answers.read(record(data))


class Percentiles(unittest.TestCase):
    def test_of_single_values(self):
        self.assertEqual(figures.percentiles(figures.histogram_of(range(1000, 0, -1))), [500, 900, 990, 999])

    def test_of_a_histogram(self):
        values = [random.Random(1).randrange(50) for _ in range(3000)]
        counted = sorted((value, values.count(value)) for value in set(values))
        self.assertEqual(figures.percentiles(counted), figures.percentiles(figures.histogram_of(values)))

    def test_too_few_values(self):
        self.assertEqual(figures.percentiles(figures.histogram_of(range(100))), [49, 89, 98, None])
        self.assertEqual(figures.percentiles(figures.histogram_of(range(99))), [49, 89, None, None])
        self.assertEqual(figures.percentiles([]), [None] * 4)


def some_point(server="prenormd", load=4, **more):
    values = figures.histogram_of(n / 1000 for n in range(1, 2001))
    told = {"seconds": 2.0, "answers": 10, "refused": 3, "lost": 0, "tokens": 320, "first": values, "gaps": values,
            "total": values, "resident_mib": 40.0, "server_cores": 1.5, "client_cores": 0.1}
    return figures.Point(server, load, **{**told, **more})


class Tables(unittest.TestCase):
    def test_cells(self):
        head, _, row = figures.table([some_point()], "connections").splitlines()
        self.assertEqual(row.count("|"), head.count("|"))
        self.assertIn("| 4 | 5.00 | 160 | 1,000 / 1,800 / 1,980 / 1,998 |", row)
        self.assertNotIn("server |", head)
        self.assertIn("| 4 | – | – |", figures.table([some_point(answers=0, tokens=0), some_point()], "connections"))
        self.assertIn("server |", figures.table([some_point(), some_point("other")], "connections").splitlines()[0])

    def test_refusals_do_not_count_as_quick_answers(self):
        counted = wrk.Counted(1, answers=1, refused=9, tokens=32, histogram=[(0.001, 9), (1.0, 1)])
        both = figures.together(figures.of_samples([answers.Sample(200, 0.1, 2.0, 32, [0.1])]), counted)
        self.assertEqual((both["total"], both["answers"], both["refused"], both["tokens"]), ([(2.0, 1)], 2, 9, 64))

    def test_wrk(self):
        counted = wrk.read('Running 1s test\n{"seconds":2.0,"answers":5,"refused":1,"failed":2,"tokens":9,"unanswered":3,'
                           '"microseconds":[[1000,2],[2000,3]]}\n')
        self.assertEqual((counted.answers, counted.unanswered, counted.histogram), (5, 3, [(0.001, 2), (0.002, 3)]))
        with self.assertRaises(wrk.Failed):
            wrk.read("unable to connect")


class Loads(unittest.TestCase):
    def test_poisson(self):
        times = clients.poisson(50, 100, 1)
        self.assertEqual(times, sorted(times))
        self.assertLess(abs(len(times) - 5000), 5 * 5000 ** 0.5)
        gaps = [b - a for a, b in zip(times, times[1:])]
        mean = sum(gaps) / len(gaps)
        deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
        self.assertLess(abs(deviation / mean - 1), 0.1)  # of an exponential distribution both are equal

    def test_requests_share_what_they_should(self):
        requests = workloads.Requests(workloads.WORKLOADS["prefix"], 4096, 1)
        prompts = [tuple(answers.json.loads(requests.next_body())["prompt"]) for _ in range(100)]
        self.assertEqual(len({prompt[:128] for prompt in prompts}), workloads.PREFIXES)
        self.assertEqual((len(set(prompts)), {len(prompt) for prompt in prompts}), (100, {160}))

    def serve(self, listener, replies):
        """A connection for each request."""
        for reply in replies:
            connection, _ = listener.accept()
            data = b""
            while b"}}" not in data:
                data += connection.recv(1 << 16)
            connection.sendall(reply)
            connection.close()

    def test_clients(self):
        """Streams and refusals are samples; a cut answer is none."""
        reply = HEAD + chunk(event(b"a") + event(b"b") + USAGE + END) + LAST
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = threading.Thread(target=self.serve, args=(listener, [reply, REFUSAL, reply[:-20], reply]), daemon=True)
            server.start()
            one = clients.Clients(listener.getsockname()[1], workloads.Requests(workloads.WORKLOADS["streams"], 4096, 1))
            for _ in range(4):
                one.send(time.perf_counter())
                while not one.receive(60):
                    pass
            server.join()
            one.close()
        seen = one.seen(1.0, 0)
        self.assertEqual(([sample.status for sample in seen.samples], seen.unanswered), ([200, 429, 200], 1))


@unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
class Pictures(unittest.TestCase):
    def test_pictures(self):
        series = [("ours", [some_point(load=1), some_point(load=4)]),
                  ("it's \"theirs\"", [some_point(load=1, first=[], gaps=[(0.0, 9)])])]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            pictures.over_load(path / "load.svg", "a title", series, "connections", True)
            pictures.distribution(path / "distribution.svg", "another", [(name, points[0]) for name, points in series])
            for name, words in (("load.svg", ("a title", "tokens/s", "ours, p99")),
                                ("distribution.svg", ("another", "percentile"))):
                text = (path / name).read_text()
                self.assertTrue(text.startswith("<?xml") and text.rstrip().endswith("</svg>"))
                for word in words:
                    self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main()
