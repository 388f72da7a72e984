"""Writes engine/text/unicode/moses_classes.c: which characters sacremoses takes for what, and its English prefixes.

    pip install sacremoses==0.2.0
    python make_moses_classes.py > ../../engine/text/unicode/moses_classes.c

Its lists are of old Unicode versions, and leave out what none of them has, so they are asked of the package itself.
"""
from sacremoses.tokenize import MosesDetokenizer, MosesTokenizer
from sacremoses.util import is_cjk

SETS = {"MOSES_ALNUM": MosesTokenizer.IsAlnum, "MOSES_ALPHA": MosesTokenizer.IsAlpha, "MOSES_NUMBER": MosesTokenizer.IsN,
        "MOSES_LOWER": MosesTokenizer.IsLower, "MOSES_CURRENCY": MosesDetokenizer.IsSc,
        "MOSES_PLAIN_ALPHA": MosesDetokenizer.IsAlpha}
BITS = {name: 1 << i for i, name in enumerate(SETS)}
CJK_BIT = 1 << len(SETS)
WIDTH = 110


def write_cells(cells):
    line = "   "
    for cell in cells:
        if len(line) + 1 + len(cell) > WIDTH:
            print(line)
            line = "   "
        line += " " + cell
    print(line)


def ranges():
    sets = {name: set(map(ord, characters)) for name, characters in SETS.items()}
    found = []
    for point in range(0x110000):
        bits = sum(BITS[name] for name, points in sets.items() if point in points) + CJK_BIT * is_cjk(chr(point))
        if found and found[-1][1] == point - 1 and found[-1][2] == bits:
            found[-1][1] = point
        elif bits:
            found.append([point, point, bits])
    return found


def main():
    tokenizer = MosesTokenizer("en")
    prefixes = [p for p in tokenizer.NONBREAKING_PREFIXES if not tokenizer.has_numeric_only(p)]
    print("/* Made by tests/golden/make_moses_classes.py, which says what this is. */")
    print("/* clang-format off */")
    print('#include "engine/text/unicode/moses_classes.h"\n')
    print("const struct moses_range moses_ranges[] = {")
    write_cells("{0x%X, 0x%X, %d}," % tuple(r) for r in ranges())
    print("};\nconst size_t moses_range_count = sizeof moses_ranges / sizeof moses_ranges[0];\n")
    for name, words in (("moses_prefixes", prefixes), ("moses_numeric_prefixes", tokenizer.NUMERIC_ONLY_PREFIXES)):
        print(f"const char *const {name}[] = {{")
        write_cells(f'"{word}",' for word in words)
        print("    NULL,\n};" + ("\n" if name == "moses_prefixes" else ""))


if __name__ == "__main__":
    main()
