"""From what clients saw to the figures of one point of load, and to tables."""
import dataclasses
import math

PERCENTILES = (50, 90, 99, 99.9)
UNKNOWN = "–"


def percentile(histogram, percent):
    """The smallest value that so many percent of the values do not exceed, of [(value, count)] in rising order; None where there are
    too few values to say: of 99 nobody knows the one that 99 % are below."""
    total = sum(count for _, count in histogram)
    if total * (100 - percent) < 100 - 1e-6:
        return None
    rank, passed = math.ceil(total * percent / 100 - 1e-9), 0
    for value, count in histogram:
        passed += count
        if passed >= rank:
            return value
    raise AssertionError("a rank beyond all values")


def histogram_of(values):
    return [(value, 1) for value in sorted(values)]


def percentiles(histogram):
    return [percentile(histogram, percent) for percent in PERCENTILES]


@dataclasses.dataclass
class Point:
    """One server under one load. Histograms are of seconds."""
    server: str
    load: float  # connections of a closed loop, requests/s of an open one
    seconds: float
    answers: int
    refused: int
    lost: int  # connections that broke, statuses that are errors, answers that did not come
    tokens: int
    first: list
    gaps: list
    total: list
    resident_mib: float
    server_cores: float  # processor time of the server in each second
    client_cores: float

    @property
    def requests_per_s(self):
        """None where not one answer ended with the time: then nobody knows."""
        return self.answers / self.seconds if self.answers else None

    @property
    def tokens_per_s(self):
        return self.tokens / self.seconds if self.answers else None


def of_samples(samples):
    """(histograms of first token, gaps and whole answer; answers, refused, lost, tokens) of the streams."""
    served = [sample for sample in samples if sample.status == 200]
    refused = sum(sample.status in (429, 503) for sample in samples)
    return {
        "first": histogram_of(sample.first for sample in served),
        "gaps": histogram_of(gap for sample in served for gap in sample.gaps),
        "total": histogram_of(sample.total for sample in served),
        "answers": len(served), "refused": refused, "lost": len(samples) - len(served) - refused,
        "tokens": sum(sample.tokens for sample in served),
    }


def together(streams, counted):
    """Streams, and what wrk did beside them. wrk's times are those of all statuses: with refusals among them they say nothing of
    answers, and those of the streams stand alone."""
    both = dict(streams)
    both["answers"] += counted.answers
    both["refused"] += counted.refused
    both["lost"] += counted.failed + counted.unanswered
    both["tokens"] += counted.tokens
    if not counted.refused + counted.failed:
        both["total"] = sorted(both["total"] + counted.histogram)
    return both


# ---- tables ----

def milliseconds(value):
    if value is None:
        return UNKNOWN
    ms = value * 1e3
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 1 else f"{ms:.2f}"


def times(histogram):
    return " / ".join(map(milliseconds, percentiles(histogram))) if histogram else ""


def rate(value):
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def columns(points, load_name):
    """(head, cell of a point); what no point has is left out."""
    named = [(load_name, lambda p: f"{p.load:g}" if p.load == int(p.load) else f"{p.load:.2f}")]
    if len({p.server for p in points}) > 1:
        named.append(("server", lambda p: p.server))
    named.append(("answers/s", lambda p: rate(p.requests_per_s)))
    if any(p.tokens for p in points):
        named.append(("tokens/s", lambda p: rate(p.tokens_per_s)))
    for head, part in (("first token, ms", "first"), ("between tokens, ms", "gaps"), ("whole answer, ms", "total")):
        if any(getattr(p, part) for p in points):
            named.append((head, lambda p, part=part: times(getattr(p, part))))
    named += [("refused", lambda p: f"{p.refused:,}"), ("lost", lambda p: f"{p.lost:,}"),
              ("RSS, MiB", lambda p: f"{p.resident_mib:,.0f}"),
              ("cores: server, clients", lambda p: f"{p.server_cores:.2f}, {p.client_cores:.2f}")]
    return named


def table(points, load_name):
    """In Markdown."""
    named = columns(points, load_name)
    lines = ["| " + " | ".join(head for head, _ in named) + " |", "|" + "---|" * len(named)]
    return "\n".join(lines + ["| " + " | ".join(cell(p) for _, cell in named) + " |" for p in points])
