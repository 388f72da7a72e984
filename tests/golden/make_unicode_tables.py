"""Writes engine/text/unicode/unicode_tables.c: which characters the tokenizers library takes for what.

The library mixes Unicode versions: Rust's own (words, numbers, lower case), that of its regular expressions, and old
crates for punctuation, marks and normal forms. So the classes are not taken from a Unicode version but asked of the
library itself, code point by code point (a minute):

    pip install tokenizers==0.23.3 unicodedata2==16.0.0
    python make_unicode_tables.py > ../../engine/text/unicode_tables.c

Python 3.11's own unicodedata (Unicode 14) stands for what PCRE2 10.42 knows.
"""

import unicodedata

import unicodedata2
from tokenizers import Regex, normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def ranges(points):
    found = []
    for point in points:
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return found


def write_ranges(name, points):
    cells = ["{0x%X, 0x%X}," % tuple(r) for r in ranges(points)]
    write_cells("struct unicode_range", name, cells)


def write_cells(kind, name, cells):
    print("const %s %s[] = {" % (kind, name))
    line = "   "
    for cell in cells:
        if len(line) + 1 + len(cell) > 110:
            print(line)
            line = "   "
        line += " " + cell
    print(line)
    print("};")
    print("const size_t %s_count = sizeof %s / sizeof %s[0];\n" % (name, name, name))


def removed(pre_tokenizer, text):
    return not pre_tokenizer.pre_tokenize_str(text)


def write_classes():
    blank = pre_tokenizers.WhitespaceSplit()
    word = pre_tokenizers.Whitespace()
    digits = pre_tokenizers.Digits(individual_digits=True)
    punctuation = pre_tokenizers.Punctuation("removed")
    accents = normalizers.StripAccents()
    clean = normalizers.BertNormalizer(True, False, False, False)
    nonspacing = normalizers.BertNormalizer(False, False, True, False)
    chars = [chr(c) for c in POINTS]
    blanks = {c for c in chars if removed(blank, c)}
    classes = {
        "unicode_word": [c for c in chars if c not in blanks and len(word.pre_tokenize_str("a" + c)) == 1],
        "unicode_numeric": [c for c in chars if len(digits.pre_tokenize_str("a" + c)) == 2],
        "unicode_punctuation": [c for c in chars if removed(punctuation, c)],
        "unicode_mark": [c for c in chars if accents.normalize_str(c) == ""],
        "unicode_nonspacing": [c for c in chars if nonspacing.normalize_str(c) == ""],
        "unicode_other": [c for c in chars if c != "\ufffd" and clean.normalize_str(c) == ""] + ["\t", "\n", "\r"],
    }
    for name, members in classes.items():
        write_ranges(name, sorted(ord(c) for c in members))


def write_lower():
    """Pairs beyond Unicode 14."""
    lower = normalizers.Lowercase()
    pairs = [(c, lower.normalize_str(chr(c))) for c in POINTS]
    pairs = [(c, ord(low)) for c, low in pairs if len(low) == 1 and chr(c).lower() != low and c != 0x3A3]
    write_cells("struct unicode_pair", "unicode_lower_pairs", ["{0x%X, 0x%X}," % pair for pair in pairs])


def is_mark_to(form, char):
    return form.normalize_str(char + "\u0334") != char + "\u0334" or form.normalize_str("\u0301" + char) != "\u0301" + char


def write_inert():
    """Decompositions and combining classes of later versions that the library's normal forms do not know."""
    plain, compatible = normalizers.NFD(), normalizers.NFKD()
    inert = []
    for point in POINTS:
        char = chr(point)
        later = unicodedata2.normalize("NFKD", char) != char
        if later and compatible.normalize_str(char) == char:
            inert.append(point)
        elif not later and unicodedata2.combining(char) and not is_mark_to(plain, char):
            inert.append(point)
    # What a later composition ends with is inert too, lest it be composed; the marks among it have other uses.
    parts = [unicodedata2.normalize("NFD", chr(c)) for c in inert]
    inert += [ord(part[-1]) for part in parts if len(part) > 1 and not unicodedata2.combining(part[-1])]
    write_ranges("unicode_inert", sorted(set(inert)))


def write_additions():
    """Characters that the library's regular expressions know (Unicode 16) and PCRE2's may not."""
    cells = []
    for category in sorted({unicodedata2.category(chr(c)) for c in POINTS} - {"Cn", "Cs"}):
        new = [
            c
            for c in POINTS
            if unicodedata2.category(chr(c)) == category and unicodedata.category(chr(c)) == "Cn"
        ]
        cells += ['{"%s", {0x%X, 0x%X}},' % (category, *r) for r in ranges(new)]
    alphabetic = pre_tokenizers.Split(Regex("[[:alpha:]]"), "removed")
    for r in ranges([c for c in POINTS if removed(alphabetic, chr(c)) and not chr(c).isalpha()]):
        cells.append('{"Alphabetic", {0x%X, 0x%X}},' % tuple(r))
    for script in ("Han", "Hiragana", "Katakana"):
        known = pre_tokenizers.Split(Regex("\\p{%s}" % script), "removed")
        new = [c for c in POINTS if unicodedata.category(chr(c)) == "Cn" and removed(known, chr(c))]
        cells += ['{"%s", {0x%X, 0x%X}},' % (script, *r) for r in ranges(new)]
    write_cells("struct unicode_addition", "unicode_additions", cells)


print("/* Made by tests/golden/make_unicode_tables.py, which says what this is. */")
print("/* clang-format off */")
print('#include "engine/text/unicode/unicode_tables.h"\n')
write_classes()
write_lower()
write_inert()
write_additions()
