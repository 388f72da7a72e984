#!/usr/bin/env python3
"""What the comparison with other engines computes by itself: the machine's name, cores, medians, the table, requirements, settings, the
driver of a peer's script. Needs no peer, starts no server, measures nothing."""
import dataclasses
import json
import pathlib
import re
import sys
import types
import unittest
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path += [str(HERE)]
# pylint: disable=wrong-import-position
import bench_script  # noqa: E402
import machine  # noqa: E402
import prepare  # noqa: E402
import programs  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402
import scripted  # noqa: E402
import servers  # noqa: E402
import shapes  # noqa: E402
import work  # noqa: E402

ROOT = HERE.parents[2]
X86 = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8488C
stepping\t: 8
flags\t\t: fpu avx2 f16c fma avx512f avx512_vnni amx_int8

processor\t: 1
vendor_id\t: Other
"""
AARCH64 = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd asimddp i8mm
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd4f
CPU revision\t: 1
"""


class MachineIsNamed(unittest.TestCase):
    def test_on_x86_by_the_numbers_of_its_maker(self):
        self.assertEqual(machine.describe_cpu(X86), "Intel(R) Xeon(R) Platinum 8488C (GenuineIntel, cpu family 6, model 143, stepping 8), "
                         "AVX2 FMA F16C AVX-512 AVX-512 VNNI AMX int8")

    def test_on_aarch64_where_the_kernel_has_no_name(self):
        with unittest.mock.patch("platform.machine", return_value="aarch64"):
            self.assertEqual(machine.describe_cpu(AARCH64),
                             "aarch64 (implementer 0x41, part 0xd4f, variant 0x0, revision 1), NEON dotprod i8mm")

    def test_without_any_field(self):
        with unittest.mock.patch("platform.machine", return_value="riscv64"):
            self.assertEqual(machine.describe_cpu(""), "riscv64")

    def test_this_one(self):
        self.assertTrue(machine.cpu_name())
        self.assertGreater(machine.default_threads(), 0)


class ThreadsHaveCores(unittest.TestCase):
    CORES = [[0, 4], [1, 5], [2, 6]]

    def test_one_each_while_there_are_cores(self):
        self.assertEqual(machine.one_a_core(self.CORES, 2), {0, 1})
        self.assertEqual(machine.one_a_core(self.CORES, 3), {0, 1, 2})

    def test_then_the_second_halves(self):
        self.assertEqual(machine.one_a_core(self.CORES, 5), {0, 1, 2, 4, 5})
        self.assertEqual(machine.one_a_core(self.CORES, 99), {0, 1, 2, 4, 5, 6})


def program(name, **kinds):
    return types.SimpleNamespace(name=name, types=kinds)


class Table(unittest.TestCase):
    OURS, PEERS = program("ours", f32="f32", int8="int8"), [program("a", f32="F"), program("b", f32="float", int8="q8")]

    def setUp(self):
        self.results = report.Results()
        for row, weights, name, rates in (("x", "f32", "ours", (100, 900, 200)), ("x", "f32", "a", (100,)), ("x", "f32", "b", (400,)),
                                          ("x", "int8", "ours", (3000,)), ("x", "int8", "b", (1000,)), ("y", "f32", "ours", (7,))):
            for rate in rates:
                self.results.add(row, weights, name, rate)

    def test_has_medians_and_the_ratio_to_the_best(self):
        lines = report.table(self.results, self.OURS, self.PEERS, ["x", "y"], ["f32", "int8"]).splitlines()
        self.assertEqual(lines, ["| tokens/s: ours / a / b (to the best of theirs) | f32 / F / float | int8 / – / q8 |", "|---|---|---|",
                                 "| x | 200 / 100 / 400 (0.50×) | 3,000 / – / 1,000 (3.00×) |", "| y | 7 / – / – |  |"])

    def test_names_the_thinnest_rows_worst_first(self):
        self.assertEqual(report.thinnest(self.results, "ours", ["a", "b"], ["x", "y"], ["f32", "int8"]),
                         "Thinnest: x in f32 (0.50× b); x in int8 (3.00× b).")
        self.assertEqual(report.thinnest(self.results, "ours", ["a"], ["y"], ["f32", "int8"]), "")

    def test_names_no_more_than_it_is_meant_to(self):
        for i in range(2 * report.THINNEST):
            self.results.add(f"row {i}", "f32", "ours", 1)
            self.results.add(f"row {i}", "f32", "a", 10 - i)
        line = report.thinnest(self.results, "ours", ["a", "b"], [f"row {i}" for i in range(2 * report.THINNEST)], ["f32"])
        self.assertEqual(line.count("×"), report.THINNEST)
        self.assertTrue(line.startswith("Thinnest: row 0 in f32 (0.10× a);"))

    def test_file_has_every_round(self):
        self.assertIn({"work": "x", "weights": "f32", "program": "ours", "tokens_per_s": 200, "rounds": [100, 900, 200]},
                      self.results.as_list())


class Works(unittest.TestCase):
    def test_are_those_of_the_program(self):
        """What only it measures (sequences that share a prompt, one at a long context) aside."""
        named = re.findall(r'^ +\{"([a-z0-9-]+)", \{\.work = .*\}\},$', (ROOT / "server/bench/works.c").read_text(), re.M)
        self.assertEqual([item.key for item in work.WORKS], [name for name in named if not name.endswith(("-shared", "decode-1-long"))])

    def test_fit_each_shape(self):
        for shape in shapes.SHAPES.values():
            context = shape.get("n_positions", shape.get("max_position_embeddings"))
            self.assertLess(bench_script.longest(work.WORKS)[0], context)

    def test_have_a_trial_in_each_group(self):
        self.assertEqual([item.key for item in work.trial_works(work.WORKS)], ["prefill-512", "decode-1", "decode-16", "decode-8-long"])


class Requirements(unittest.TestCase):
    def test_of_vllm_without_extras_media_and_builds_that_pypi_lacks(self):
        self.assertEqual(prepare.requirements_on_pypi([
            "numpy", 'torch==2.13.0+cpu; platform_machine == "x86_64"', 'torchaudio; platform_machine != "s390x"', "torchcodec>=0.14",
            'zentorch==2.13; extra == "zen"', "protobuf!=6.30.*,>=5.29"]),
            ["numpy", 'torch==2.13.0; platform_machine == "x86_64"', "protobuf!=6.30.*,>=5.29"])


class FakeMachine:
    """Keeps what it was asked to run, and answers as a script does that prints something first."""
    threads = 3

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def output(self, command, environment):
        self.asked.append((list(map(str, command)), environment))
        return "what a library says\n" + json.dumps(self.answer) + "\n"


class Scripts(unittest.TestCase):
    def peer(self, kind, flags, answer=None):
        cache = prepare.Cache("/cache", "model")
        with unittest.mock.patch("scripted.cpu_flags", return_value=flags):
            peer = kind(FakeMachine(answer), cache)
            return peer, {weights: peer.settings(weights) for weights in peer.types}

    def test_are_asked_for_works_in_the_setting(self):
        peer, settings = self.peer(scripted.OpenVino, [], {"prefill, 128 tokens": 5.5})
        self.assertEqual(peer.measure("int4", settings["int4"][1], work.WORKS[:1], 2), {"prefill, 128 tokens": 5.5})
        ((command, _),) = peer.machine.asked
        self.assertEqual(command[:5], ["/cache/venv/bin/python", str(HERE / "bench_openvino.py"), "/cache/models/model/openvino-int4",
                                       "--threads", "3"])
        told = dict(zip(command[5::2], command[6::2]))
        self.assertEqual(json.loads(told["--setting"]), {"type": "int4", "attention": "paged", "chunk": 256, "precision": "f32"})
        self.assertEqual(json.loads(told["--works"]), [dataclasses.asdict(work.WORKS[0])])

    def test_of_vllm_are_in_an_environment_of_their_own(self):
        peer, _ = self.peer(scripted.Vllm, [], [4, 2])
        self.assertEqual(peer.follow([1], 2), [4, 2])
        ((command, environment),) = peer.machine.asked
        self.assertEqual((command[0], environment["OMP_NUM_THREADS"]), ("/cache/venv-vllm/bin/python", "3"))

    def test_settings_follow_the_instructions(self):
        peer, plain = self.peer(scripted.OpenVino, ["avx2"])
        self.assertNotIn("bf16", peer.types)
        peer, able = self.peer(scripted.OpenVino, ["avx2", "amx_bf16"])
        self.assertIn("bf16", peer.types)
        self.assertEqual((len(plain["int8"]), len(able["int8"]), len(able["f32"])), (3, 6, 3))
        self.assertEqual([len(self.peer(scripted.CTranslate2, flags)[1]["f32"]) for flags in ([], ["avx512f"])], [2, 4])

    def test_count_tokens_by_the_second_they_took(self):
        model = types.SimpleNamespace(prefill=lambda tokens: 2.0, decode=lambda item: 0.5)
        self.assertEqual(bench_script.time_work(model, work.Work("prefill", 128), 1), 64)
        self.assertEqual(bench_script.time_work(model, work.Work("decode", 8, batch=4, context=9), 3), 64)

    def test_do_not_count_the_first_call(self):
        seconds = iter([100, 1, 3, 2])
        self.assertEqual(bench_script.median_after_warm_up(lambda: next(seconds), 3), 2)


class SameTokens(unittest.TestCase):
    class Peer:
        def __init__(self, name, tokens):
            self.name, self.tokens = name, tokens

        def follow(self, ids, length):
            if self.tokens is None:
                raise programs.Failed("illegal instruction")
            return self.tokens

    def check(self, *peers):
        ours = types.SimpleNamespace(name="ours", cache=types.SimpleNamespace(config=lambda: {"vocab_size": 1000}))
        with unittest.mock.patch.object(servers, "follow_prenorm", return_value=[1, 2]), unittest.mock.patch.object(run, "say"):
            return run.check_same_model(ours, list(peers))

    def test_all_that_run_are_kept(self):
        good, broken = self.Peer("good", [1, 2]), self.Peer("broken", None)
        self.assertEqual(self.check(broken, good), [good])

    def test_another_model_ends_the_run(self):
        with self.assertRaisesRegex(SystemExit, "do not run the same model"):
            self.check(self.Peer("good", [1, 2]), self.Peer("other", [1, 3]))

    def test_none_left_is_told(self):
        with self.assertRaisesRegex(prepare.Unavailable, "no other engine"):
            self.check(self.Peer("broken", None))


if __name__ == "__main__":
    unittest.main()
