#!/usr/bin/env python3
"""Makes the cases of this folder, with the standard library alone: files laid out as torch.save does, and broken ones.

<case>/input/pytorch_model.bin and <case>/expect/, which holds model.safetensors with the same tensors, contiguous, or
error.json {"status": name of the status, "reason_contains": [words of the message]}.

    python3 tests/cases/torch-bin/make.py        # writes below its own folder
"""

import collections
import io
import json
import pathlib
import pickle
import shutil
import struct
import sys
import types
import zlib

HERE = pathlib.Path(__file__).resolve().parent

# ---- what torch's pickles name: stand-ins under the same names --------------------------------------------------

torch = types.ModuleType("torch")
utils = types.ModuleType("torch._utils")
sys.modules["torch"], sys.modules["torch._utils"] = torch, utils

ELEMENTS = {  # storage type: (safetensors dtype, struct format or None for raw 16-bit patterns)
    "FloatStorage": ("F32", "f"), "HalfStorage": ("F16", "e"), "BFloat16Storage": ("BF16", None),
    "DoubleStorage": ("F64", "d"), "LongStorage": ("I64", "q"), "IntStorage": ("I32", "i"),
    "ShortStorage": ("I16", "h"), "CharStorage": ("I8", "b"), "ByteStorage": ("U8", "B"), "BoolStorage": ("BOOL", "?"),
}
for storage_name in ELEMENTS:
    storage_type = type(storage_name, (), {"__module__": "torch", "__qualname__": storage_name})
    setattr(torch, storage_name, storage_type)


def _stand_in(module, name):
    def function(*arguments):
        raise AssertionError("a stand-in was called")
    function.__module__, function.__name__, function.__qualname__ = module.__name__, name, name
    setattr(module, name, function)
    return function


rebuild_tensor = _stand_in(utils, "_rebuild_tensor_v2")
rebuild_parameter = _stand_in(utils, "_rebuild_parameter")
rebuild_other = _stand_in(utils, "_rebuild_sparse_tensor")


class Storage:
    def __init__(self, kind, values, claim=None):
        self.kind, self.claim = kind, claim
        form = ELEMENTS[kind][1]
        if form is None:  # bfloat16: the upper half of a float
            self.items = [struct.pack("<f", v)[2:] for v in values]
        else:
            self.items = [struct.pack("<" + form, v) for v in values]

    def data(self):
        return b"".join(self.items)


class Tensor:
    def __init__(self, storage, shape, stride=None, offset=0, arguments=None, is_parameter=False):
        if stride is None:
            stride, step = [], 1
            for extent in reversed(shape):
                stride.insert(0, step)
                step *= extent
        self.storage, self.shape, self.stride, self.offset = storage, tuple(shape), tuple(stride), offset
        self.arguments, self.is_parameter = arguments, is_parameter

    def bytes(self):
        """The elements in row-major order."""
        out, index = [], [0] * len(self.shape)
        count = 1
        for extent in self.shape:
            count *= extent
        for _ in range(count):
            out.append(self.storage.items[self.offset + sum(i * s for i, s in zip(index, self.stride))])
            for axis in reversed(range(len(index))):
                index[axis] += 1
                if index[axis] < self.shape[axis]:
                    break
                index[axis] = 0
        return b"".join(out)

    def __reduce__(self):
        view = (self.storage, self.offset, self.shape, self.stride, False, collections.OrderedDict())
        if self.is_parameter:
            return rebuild_parameter, (Tensor(self.storage, self.shape, self.stride, self.offset), True,
                                       collections.OrderedDict())
        return rebuild_tensor, self.arguments(view) if self.arguments else view


class Sparse:
    def __reduce__(self):
        return rebuild_other, (1, 2)


class Unknown:
    """Pickled with NEWOBJ."""


class Pickler(pickle._Pickler):
    """Gives storages their ids, as torch.save does."""

    def __init__(self, file, protocol):
        super().__init__(file, protocol)
        self.storages = []

    def persistent_id(self, thing):
        if not isinstance(thing, Storage):
            return None
        if thing not in self.storages:
            self.storages.append(thing)
        count = len(thing.items) if thing.claim is None else thing.claim
        return ("storage", getattr(torch, thing.kind), str(self.storages.index(thing)), "cpu", count)


class StateDict(collections.OrderedDict):
    """Carries an attribute, as those of modules do."""

    def __reduce__(self):
        return collections.OrderedDict, (), {"_metadata": {"": {"version": 1}}}, None, iter(self.items())


def pickled(thing, protocol=2):
    file = io.BytesIO()
    pickler = Pickler(file, protocol)
    pickler.dump(thing)
    return file.getvalue(), [storage.data() for storage in pickler.storages]


# ---- archives ---------------------------------------------------------------------------------------------------


class Entry:
    def __init__(self, name, data, **odd):
        self.name, self.data, self.odd = name.encode(), data, odd


def archive(entries, zip64=False, comment=b"", streamed=True, end=None, locator_offset=0, disk=0):
    """A ZIP file as torch's writer makes it: padded to 64 bytes, sizes left out of the local headers (streamed)."""
    out, directory = bytearray(), bytearray()
    for entry in entries:
        odd, size, checksum = entry.odd, len(entry.data), zlib.crc32(entry.data)
        at = odd.get("header_offset", len(out))
        flags, method = odd.get("flags", 0x0808 if streamed else 0), odd.get("method", 0)
        packed, claimed = odd.get("packed_size", size), odd.get("size", size)
        pad = -(len(out) + 30 + len(entry.name) + 4) % 64
        local = (0, 0, 0) if streamed else (checksum, size, size)
        out += struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, flags, method, 0, 0, *local, len(entry.name), 4 + pad)
        out += odd.get("local_name", entry.name) + b"FB" + struct.pack("<H", pad) + b"Z" * pad + entry.data
        if streamed:
            out += struct.pack("<IIII", 0x08074B50, checksum, size, size)
        extra = b""
        if zip64:
            extra = b"XX\x02\0ab" + struct.pack("<HHQQQ", 1, 24, claimed, packed, at)
            if "extra" in odd:
                extra = odd["extra"]
            packed = claimed = at = 0xFFFFFFFF
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, flags, method, 0, 0, checksum, packed, claimed,
                                 len(entry.name), len(extra), 0, 0, 0, 0, at) + entry.name + extra
    start = len(out)
    count, size, offset = end(len(entries), len(directory), start) if end else (len(entries), len(directory), start)
    out += directory
    record = len(out)
    if zip64:
        out += struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, disk, disk, count, count, size, offset)
        out += struct.pack("<IIQI", 0x07064B50, 0, record + locator_offset, 1)
        count, size, offset = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    return bytes(out) + struct.pack("<IHHHHIIH", 0x06054B50, disk, disk, count, count, size, offset, len(comment)) + comment


def entries_of(thing, protocol=2, root="pytorch_model", byteorder=b"little"):
    data, storages = thing if isinstance(thing, tuple) else pickled(thing, protocol)
    entries = [Entry(root + "/data.pkl", data)]
    if byteorder:
        entries.append(Entry(root + "/byteorder", byteorder))
    entries += [Entry(f"{root}/data/{i}", storage) for i, storage in enumerate(storages)]
    return entries + [Entry(root + "/version", b"3\n")]


def safetensors(state):
    header, data = {}, b""
    for name, tensor in state.items():
        piece = tensor.bytes()
        header[name] = {"dtype": ELEMENTS[tensor.storage.kind][0], "shape": tensor.shape,
                        "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def write(case, content, expected):
    folder = HERE / case
    (folder / "input").mkdir(parents=True)
    (folder / "expect").mkdir()
    (folder / "input" / "pytorch_model.bin").write_bytes(content)
    if isinstance(expected, bytes):
        (folder / "expect" / "model.safetensors").write_bytes(expected)
    else:
        status, *words = expected
        (folder / "expect" / "error.json").write_text(json.dumps({"status": status, "reason_contains": words}) + "\n")


# ---- the cases --------------------------------------------------------------------------------------------------


def floats(count, first=0.0):
    return [first + 0.25 * i for i in range(count)]


def small():
    return {"a.weight": Tensor(Storage("FloatStorage", floats(6)), (2, 3)),
            "a.bias": Tensor(Storage("HalfStorage", floats(3, 1)), (3,))}


def views():
    shared = Storage("FloatStorage", floats(24, -3))
    return StateDict({
        "whole": Tensor(shared, (2, 3, 4)), "transposed": Tensor(shared, (3, 4), (1, 3), 5),
        "every_other": Tensor(shared, (6,), (2,), 12), "expanded": Tensor(shared, (3, 2), (0, 1), 22),
        "last": Tensor(shared, (), (), 23), "empty": Tensor(shared, (0, 7), (7, 1), 24),
        "parameter": Tensor(Storage("BFloat16Storage", floats(4)), (4, 1), is_parameter=True),
        "with_metadata": Tensor(shared, (2,), (1,), 1, arguments=lambda view: view + ({},)),
    })


def every_type():
    state = {kind: Tensor(Storage(kind, [1, 0, 1, 1]), (2, 2)) for kind in ELEMENTS}
    state["no_elements"] = Tensor(Storage("FloatStorage", []), (0,))
    return state


def good():
    for protocol in range(2, 6):
        yield f"protocol-{protocol}", archive(entries_of(small(), protocol)), small()
    yield "views", archive(entries_of(views())), views()
    yield "views-protocol-5", archive(entries_of(views(), 5)), views()
    yield "types", archive(entries_of(every_type())), every_type()
    yield "many-memos", archive(entries_of(many())), many()  # beyond 256: LONG_BINPUT, LONG_BINGET
    yield "zip64", archive(entries_of(small()), zip64=True), small()
    yield "zip64-plain-headers", archive(entries_of(small()), zip64=True, streamed=False), small()
    yield "old-without-byteorder", archive(entries_of(small(), root="archive", byteorder=None)), small()
    yield "zip-comment", archive(entries_of(small()), comment=b"PK\x05\x06" + 40 * b"!"), small()
    yield "empty-state-dict", archive(entries_of({})), {}


def many():
    return {f"t{i}": Tensor(Storage("ByteStorage", [i % 256]), (1,)) for i in range(40)}


def tensor_with(change, **options):
    storage = Storage("FloatStorage", floats(6), **options)

    def arguments(view):
        view = list(view)
        change(view)
        return tuple(view)
    return {"w": Tensor(storage, (2, 3), arguments=arguments)}


def put(index, value):
    def change(view):
        view[index] = value
    return change


def odd_tensors():
    overflow = 1 << 62
    yield "stride-beyond", put(3, (4, 1)), ("malformed data", "'w'", "spans 7 elements", "has 6")
    yield "offset-beyond", put(1, 1), ("malformed data", "'w'", "spans 6 elements from 1")
    yield "offset-huge", put(1, (1 << 63) - 1), ("malformed data", "'w'", "spans 6")
    yield "offset-negative", put(1, -1), ("malformed data", "'w'", "offset")
    yield "shape-negative", put(2, (-2, 3)), ("malformed data", "'w'", "shape")
    yield "stride-negative", put(3, (-3, 1)), ("malformed data", "'w'", "stride")
    yield "shape-overflow", put(2, (overflow, 8)), ("malformed data", "'w'", "overflow")
    yield "stride-huge", put(3, (overflow, overflow)), ("malformed data", "'w'", "spans")
    yield "stride-overflow", put(3, (overflow * 2 - 1, overflow * 2 - 1)), ("malformed data", "'w'", "overflow")
    yield "stride-zero-overflow", lambda view: (put(2, (overflow, overflow))(view), put(3, (0, 0))(view)), \
        ("malformed data", "'w'", "overflow")
    yield "shape-larger-than-int64", put(2, (1 << 70, 1)), ("unsupported", "9 bytes")
    yield "shape-of-text", put(2, ("two", 3)), ("malformed data", "'w'", "shape")
    yield "shape-no-tuple", put(2, 6), ("malformed data", "'w'", "tuples")
    yield "ranks-differ", put(3, (3, 1, 1)), ("malformed data", "'w'", "one length")
    yield "rank-9", lambda view: (put(2, (1,) * 9)(view), put(3, (1,) * 9)(view)), ("limit exceeded", "'w'", "8 dimensions")
    yield "storage-no-storage", put(0, 7), ("malformed data", "'w'", "storage")
    yield "few-arguments", lambda view: view.clear(), ("malformed data", "'w'", "0 arguments")
    yield "many-arguments", lambda view: view.extend([1, 2, 3]), ("malformed data", "'w'", "arguments")


def odd_storages():
    state = small()
    for name, claim in (("more", 7), ("fewer", 5), ("overflow", 1 << 62), ("negative", -1)):
        words = ("element",) if claim >= 0 else ("number of elements",)
        storage = Storage("FloatStorage", floats(6), claim=claim)
        yield f"claims-{name}", archive(entries_of({"w": Tensor(storage, (2, 3))})), ("malformed data", "'w'", *words)
    entries = [e for e in entries_of(state) if not e.name.endswith(b"data/1")]
    yield "missing-storage", archive(entries), ("malformed data", "'a.bias'", "data/1")
    entries = entries_of(state)
    entries[2].data = entries[2].data[:-1]
    data, storages = pickled({"w": Tensor(Storage("FloatStorage", floats(6)), (2, 3))})
    for name, key in (("zero-byte", b"0\0x"), ("long", b"0" * 64)):
        other = data.replace(b"X\1\0\0\0000", b"X" + struct.pack("<I", len(key)) + key)
        assert other != data
        yield f"key-{name}", archive(entries_of((other, storages))), ("malformed data", "'w'", "not in the archive")
    yield "short-storage", archive(entries), ("malformed data", "'a.weight'", "data/0", "23 bytes")


def odd_contents():
    yield "code", archive(entries_of((b"\x80\x02}U\x01wcposix\nsystem\nU\x02ls\x85Rs.", []))), ("unsupported", "posix.system")
    yield "code-protocol-4", archive(entries_of((b"\x80\x04}\x8c\x01w\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85Rs.", []))), \
        ("unsupported", "posix.system", "safetensors")
    yield "sparse", archive(entries_of({"w": Sparse()})), ("unsupported", "_rebuild_sparse_tensor")
    yield "object", archive(entries_of({"w": Unknown()})), ("unsupported", "Unknown")
    yield "checkpoint-of-training", archive(entries_of({"epoch": 3, "model": small()})), ("unsupported", "'epoch'", "state dict")
    yield "nested", archive(entries_of({"model": small()})), ("unsupported", "'model'", "state dict")
    yield "list", archive(entries_of(list(small().values()))), ("unsupported", "state dict")
    yield "key-number", archive(entries_of({1: small()["a.bias"]})), ("unsupported", "key", "state dict")
    yield "key-zero-byte", archive(entries_of({"a\0b": small()["a.bias"]})), ("malformed data", "zero byte")
    twice = b"\x80\x02}(" + b"U\x01w" + pickled(small()["a.bias"])[0][2:-1] + b"U\x01w" + pickled(small()["a.bias"])[0][2:-1] + b"u."
    yield "key-twice", archive(entries_of((twice, pickled(small()["a.bias"])[1]))), ("malformed data", "'w'", "twice")
    yield "big-endian", archive(entries_of(small(), byteorder=b"big")), ("unsupported", "byteorder", "'big'")
    yield "torchscript", archive(entries_of(small()) + [Entry("pytorch_model/constants.pkl", b"\x80\x02).")]), \
        ("unsupported", "TorchScript")
    yield "no-pickle", archive([Entry("readme", b"hello")]), ("unsupported", "data.pkl")
    yield "legacy", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", ("unsupported", "torch 1.6")
    yield "legacy-tar", b"storages".ljust(257, b"\0") + b"ustar".ljust(300, b"\0"), ("unsupported", "torch 1.6")
    yield "pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", ("malformed data", "git lfs pull")
    yield "empty-file", b"", ("malformed data", "no ZIP archive")


def changed(index, **odd):
    entries = entries_of(small())
    entries[index].odd.update(odd)
    return entries


def odd_archives():
    entries = entries_of(small())
    bad = "malformed data"
    yield "compressed", archive(changed(2, method=8)), ("unsupported", "data/0", "compressed")
    yield "encrypted", archive(changed(2, flags=1)), ("unsupported", "data/0", "encrypted")
    yield "sizes-differ", archive(changed(2, packed_size=23)), (bad, "data/0", "24")
    yield "size-beyond", archive(changed(2, size=1 << 30, packed_size=1 << 30)), (bad, "data/0", "1073741824")
    yield "local-header-elsewhere", archive(changed(2, header_offset=1)), (bad, "data/0", "local header")
    yield "local-header-beyond", archive(changed(2, header_offset=0xFFFFFFF0)), (bad, "data/0", "local header")
    yield "local-name-differs", archive(changed(2, local_name=b"pytorch_model/data/9")), (bad, "data/0", "local header")
    yield "same-name", archive(entries + [entries[-1]]), (bad, "two ZIP entries", "version")
    yield "overlap", archive(changed(2, size=100, packed_size=100)), (bad, "overlap")
    yield "directory-beyond", archive(entries, end=lambda n, size, at: (n, size + 1, at)), (bad, "directory")
    yield "directory-offset-huge", archive(entries, end=lambda n, size, at: (n, size, 0xFFFFFFF0)), (bad, "directory")
    yield "entries-more", archive(entries, end=lambda n, size, at: (n + 1, size, at)), (bad, "entry of the ZIP directory")
    yield "entries-many", archive(entries, end=lambda n, size, at: (60000, size, at)), (bad, "60000 entries")
    yield "zip64-missing", archive(entries, end=lambda n, size, at: (0xFFFF, size, at)), (bad, "ZIP64 records")
    yield "zip64-locator-wrong", archive(entries, zip64=True, locator_offset=1), (bad, "ZIP64 locator")
    yield "zip64-locator-huge", archive(entries, zip64=True, locator_offset=1 << 62), (bad, "ZIP64 locator")
    yield "zip64-entries-huge", archive(entries, zip64=True, end=lambda n, size, at: (1 << 63, size, at)), (bad, "entries")
    yield "zip64-size-huge", archive(entries, zip64=True, end=lambda n, size, at: (n, (1 << 64) - 8, at)), (bad, "directory")
    huge = entries_of(small())
    huge[2].odd.update(size=(1 << 64) - 64, packed_size=(1 << 64) - 64)
    yield "zip64-entry-huge", archive(huge, zip64=True), (bad, "data/0")
    cut = entries_of(small())
    cut[2].odd.update(extra=struct.pack("<HHQ", 1, 8, 24))
    yield "zip64-extra-short", archive(cut, zip64=True), (bad, "cut short")
    none = entries_of(small())
    none[2].odd.update(extra=b"")
    yield "zip64-extra-missing", archive(none, zip64=True), (bad, "cut short")
    yield "split", archive(entries, disk=1), ("unsupported", "split")
    yield "zip64-split", archive(entries, disk=1, zip64=True), ("unsupported", "split")


def main():
    for old in HERE.iterdir():
        if old.is_dir() and not old.name.startswith("torch-"):  # those were written by torch itself
            shutil.rmtree(old)
    for name, content, state in good():
        write("good-" + name, content, safetensors(state))
    for name, change, expected in odd_tensors():
        write("tensor-" + name, archive(entries_of(tensor_with(change))), expected)
    for group in (odd_storages, odd_contents, odd_archives):
        for name, content, expected in group():
            write(group.__name__[4:-1] + "-" + name, content, expected)


main()
