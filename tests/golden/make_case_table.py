#!/usr/bin/env python3
"""Writes engine/text/template/case_table.c: the characters that become several in upper or title case, as Python has
them (the full mappings of Unicode). Usage: make_case_table.py > engine/text/template/case_table.c"""
import sys


def row(c, text):
    points = [f"0x{ord(p):04X}" for p in text] + ["0"] * (3 - len(text))
    return f"    {{0x{ord(c):04X}, {{{', '.join(points)}}}}},"


def table(name, change):
    rows = [row(chr(i), change(chr(i))) for i in range(sys.maxunicode + 1) if len(change(chr(i))) > 1]
    return f"const struct case_row {name}[] = {{\n" + "\n".join(rows) + f"\n}};\nconst size_t {name}_count = {len(rows)};\n"


print("/* Made by tests/golden/make_case_table.py. */\n#include \"engine/text/template/case_table.h\"\n")
print("/* clang-format off */")
print(table("case_upper", str.upper))
print(table("case_title", str.title))
print("/* clang-format on */")
