"""What was measured, as a table in Markdown."""
import statistics

THINNEST = 5


class Results:
    """tokens/s of every round: (row, weights, program) -> list."""

    def __init__(self):
        self.rates = {}

    def add(self, row, weights, program, rate):
        self.rates.setdefault((row, weights, program), []).append(rate)

    def median(self, row, weights, program):
        rates = self.rates.get((row, weights, program))
        return statistics.median(rates) if rates else None

    def ratio(self, row, weights, ours, peers):
        """(ours to the best of theirs, whose that is); None where one side is missing."""
        own = self.median(row, weights, ours)
        theirs = [(rate, peer) for peer in peers if (rate := self.median(row, weights, peer))]
        if own is None or not theirs:
            return None
        best, peer = max(theirs)
        return own / best, peer

    def as_list(self):
        return [{"work": row, "weights": weights, "program": program, "tokens_per_s": self.median(row, weights, program),
                 "rounds": rates} for (row, weights, program), rates in self.rates.items()]


def cell(results, row, weights, ours, peers):
    """ours / theirs / theirs (ours to the best of theirs)."""
    own = results.median(row, weights, ours)
    if own is None:
        return ""
    rates = (own, *(results.median(row, weights, peer) for peer in peers))
    text = " / ".join("–" if rate is None else f"{rate:,.0f}" for rate in rates)
    ratio = results.ratio(row, weights, ours, peers)
    return text + (f" ({ratio[0]:.2f}×)" if ratio else "")


def table(results, ours, peers, rows, weights_list):
    """ours, peers: programs with a name and types of weights."""
    heads = [" / ".join(program.types.get(weights, "–") for program in (ours, *peers)) for weights in weights_list]
    lines = ["| tokens/s: " + " / ".join(program.name for program in (ours, *peers)) + " (to the best of theirs) | "
             + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    names = [peer.name for peer in peers]
    for row in rows:
        lines.append(f"| {row} | " + " | ".join(cell(results, row, weights, ours.name, names) for weights in weights_list) + " |")
    return "\n".join(lines)


def thinnest(results, ours, peers, rows, weights_list):
    """The rows where we are least ahead, the worst first, as one line."""
    ratios = []
    for row in rows:
        for weights in weights_list:
            if found := results.ratio(row, weights, ours, peers):
                ratios.append((*found, row, weights))
    told = [f"{row} in {weights} ({ratio:.2f}× {peer})" for ratio, peer, row, weights in sorted(ratios)[:THINNEST]]
    return "Thinnest: " + "; ".join(told) + "." if told else ""
