"""Whether a whole text matches, by programs that know nothing of masks: jsonschema for schemas, the package regex for expressions.

Where programs differ in what a keyword means there are several answers, one for each reading: what \\d, \\s, \\w and . take
(ECMAScript, RE2, Python, Rust), and multiples and bounds by decimal digits or by doubles.
"""
import json
import re
from decimal import Decimal, InvalidOperation, getcontext

import jsonschema
import jsonschema._keywords
import jsonschema._utils
import jsonschema_specifications
import regex

# Of \d, \w, \s and what . leaves out.
ECMA_SPACE = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
READINGS = {"ECMAScript": ("0-9", "A-Za-z0-9_", ECMA_SPACE, r"\n\r\u2028\u2029"), "RE2": ("0-9", "A-Za-z0-9_", r"\t\n\f\r ", r"\n"),
            "Python": (r"\d", r"\p{L}\p{N}_", r"\s\x1c-\x1f", r"\n"), "Rust": (r"\d", r"\w", r"\s", r"\n")}

getcontext().prec = 2000  # of remainders

# jsonschema looks for patterns with re, which has neither sets within sets nor \p.
jsonschema._keywords.re = jsonschema._utils.re = regex


def read_as(pattern, reading, dot=True):
    """The expression in regex's own syntax, with what a reading takes written out."""
    digit, word, space, line_ends = READINGS[reading]
    classes = {"d": digit, "w": word, "s": space}
    out, in_set, nested, previous = [], False, False, ""
    for part in re.findall(r"\\u\{[0-9a-fA-F]+\}|\\x\{[0-9a-fA-F]+\}|\\.|\[\^?|.", pattern, re.DOTALL):
        letter = part[1:].lower()
        if part[0] == "\\" and letter in classes:
            inner, complement = classes[letter], part[1].isupper()
            nested |= in_set and complement
            out.append(inner if in_set and not complement else f"[{'^' if complement else ''}{inner}]")
        elif part[:3] in ("\\u{", "\\x{"):
            out.append(re.escape(chr(int(part[3:-1], 16))))
        elif part == "\\/":
            out.append("/")
        elif in_set:
            is_bare = part == "-" and previous[:1] == "\\" and previous[1:].lower() in classes  # stands for itself behind a class
            out.append("\\-" if is_bare else "\\" + part if part.startswith("[") else part)
            in_set = part != "]"
        elif part.startswith("["):
            out.append(part)
            in_set = True
        else:
            out.append({".": f"[^{line_ends}]" if dot else ".", "$": r"\Z"}.get(part, part))
        previous = part
    return ("(?V1)" if nested else "(?V0)") + "".join(out)


def each_schema(schema, change):
    """A copy in which change(object) has been made of each object that is a schema: not of those within enum and its kind."""
    if isinstance(schema, list):
        return [each_schema(element, change) for element in schema]
    if not isinstance(schema, dict):
        return schema
    fixed = ("enum", "const", "default", "examples", "example")
    out = {key: value if key in fixed and not isinstance(value, dict) else each_schema(value, change) for key, value in schema.items()}
    return change(out)


def with_patterns(schema, reading):
    def change(part):
        if isinstance(part.get("pattern"), str):
            part["pattern"] = read_as(part["pattern"], reading)
        if isinstance(part.get("patternProperties"), dict):
            part["patternProperties"] = {read_as(key, reading): value for key, value in part["patternProperties"].items()}
        return part
    return each_schema(schema, change)


def has_class(source):
    return re.search(r"\\[dswDSW]|\.", source) is not None


class SchemaOpinion:
    def __init__(self, schema, draft=jsonschema.Draft202012Validator):
        readings = list(READINGS) if "attern" in json.dumps(schema) and has_class(json.dumps(schema)) else ["Python"]
        doubles = jsonschema.validators.extend(draft, {"multipleOf": lambda *_: None})
        if isinstance(schema, dict) and isinstance(schema.get("id"), str):
            schema = {"$id": schema["id"], **schema}  # draft 4's, which later ones do not look at
        given = {"format_checker": draft.FORMAT_CHECKER, "registry": jsonschema_specifications.REGISTRY}  # and nothing is loaded
        self.validators = []
        for reading in readings:
            read = with_patterns(schema, reading)
            exact = json.loads(json.dumps(read), parse_float=Decimal)
            self.validators += [(draft(exact, **given), Decimal), (doubles(read, **given), float)]

    def answers(self, text):
        """A set of True and False, one for each reading; empty where the numbers are too large to say."""
        try:
            drawn = text.decode()
            return {validator.is_valid(json.loads(drawn, parse_float=number)) for validator, number in self.validators}
        except ValueError:
            return {False}
        except (InvalidOperation, OverflowError):
            return set()

    def complaint(self, text):
        """The keyword that does not hold."""
        try:
            for validator, number in self.validators:
                error = jsonschema.exceptions.best_match(validator.iter_errors(json.loads(text.decode(), parse_float=number)))
                if error:
                    return error.validator
        except ValueError as error:
            return "UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON's syntax"
        except (InvalidOperation, OverflowError):
            return "numbers too large to say"
        return "nothing"


class RegexOpinion:
    def __init__(self, source):
        self.patterns = [regex.compile(read_as(source, reading, dot=False)) for reading in (READINGS if has_class(source) else ["Python"])]

    def answers(self, text):
        try:
            return {pattern.fullmatch(text.decode()) is not None for pattern in self.patterns}
        except UnicodeDecodeError:
            return {False}

    def complaint(self, text):
        return "the expression"


# ---- the same value in other words -------------------------------------------------------------------------------------


class Number(float):
    """A number that is written as it was read."""

    def __new__(cls, text):
        made = super().__new__(cls, 0)
        made.text = text
        return made

    def __repr__(self):
        return self.text


def plain(text):
    """Digits without an exponent, and without a fraction that is zero."""
    number = Decimal(text)
    whole = number.to_integral_value() if abs(number.adjusted()) < 400 else number
    return str(int(whole)) if whole == number and abs(number.adjusted()) < 400 else f"{number:f}".rstrip("0")


def compact(value):
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(compact(key) + ":" + compact(element) for key, element in value.items()) + "}"
    return value.text if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def short(text):
    """A number that anybody writes in place of one with many digits."""
    return text if len(text) < 16 and "e" not in text.lower() else "0"


def read(text, numbers=plain):
    """The value, its numbers as numbers() writes them, or as they stand. None: it is no text."""
    parse = (lambda digits: Number(numbers(digits))) if numbers else Number
    try:
        return json.loads(text.decode(), parse_float=parse, parse_int=parse)
    except (ValueError, InvalidOperation):
        return None


def rewritten(text, numbers=plain):
    """The same value with strings as json.dumps writes them, numbers by numbers(), and without white space. None: no text."""
    try:
        return compact(read(text, numbers)).encode()
    except UnicodeEncodeError:
        return None
