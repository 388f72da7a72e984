"""What is measured, and from which program: shared by run.py and by the script that runs inside the peers' environment."""
import dataclasses

LONG_CONTEXT = 512


@dataclasses.dataclass(frozen=True)
class Work:
    kind: str  # prefill, or decode
    tokens: int  # of the prompt; or steps, so tokens that each sequence gets
    batch: int = 1  # sequences side by side
    context: int = 0  # tokens in each sequence's cache before the first step

    @property
    def name(self):
        if self.kind == "prefill":
            return f"prefill, {self.tokens} tokens"
        sequences = "1 sequence" if self.batch == 1 else f"{self.batch} sequences"
        return f"decode, {sequences} at context {self.context}"

    @property
    def key(self):
        """Its name in prenormd's bench --works (server/bench/works.c)."""
        if self.kind == "prefill":
            return f"prefill-{self.tokens}"
        return f"decode-{self.batch}" + ("-long" if self.context >= LONG_CONTEXT else "")

    @property
    def group(self):
        """Works for which the same setting of a peer is best."""
        if self.batch == 1:
            return self.kind
        return "batch" if self.context < LONG_CONTEXT else "long batch"


# As in server/bench/works.c: the same steps from the same context, so that every program attends to the same number of positions.
WORKS = (
    Work("prefill", 128),
    Work("prefill", 512),
    Work("prefill", 2048),
    Work("decode", 32, batch=1, context=128),
    Work("decode", 32, batch=4, context=128),
    Work("decode", 16, batch=8, context=128),
    Work("decode", 16, batch=16, context=128),
    Work("decode", 8, batch=32, context=128),
    Work("decode", 4, batch=64, context=128),
    Work("decode", 4, batch=8, context=984),
)


def trial_works(works):
    """The middle one of each group, to try settings with."""
    groups = {}
    for item in works:
        groups.setdefault(item.group, []).append(item)
    return tuple(items[len(items) // 2] for items in groups.values())
