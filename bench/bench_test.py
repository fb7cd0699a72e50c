#!/usr/bin/env python3
"""Tests of what run.py is made of, those that need no server."""

import contextlib
import http.client
import io
import itertools
import json
import socket
import sqlite3
import sys
import tempfile
import threading
import types
import unittest
import xml.etree.ElementTree
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
BENCH = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCH), str(BENCH / "rest_wrapper")]
import rest_wrapper  # noqa: E402
import run  # noqa: E402
from harness import inputs, load, report, rounds, svg  # noqa: E402
from harness.context import BenchFailed, Context  # noqa: E402
from sections import cold, growth, hits, memory, scheduling  # noqa: E402


def bytes_below(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


class Temporary(unittest.TestCase):
    def setUp(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.directory = Path(made.name)


class Signatures(Temporary):
    def generate(self, name: str, **options) -> dict[str, bytes]:
        inputs.generate.generate(self.directory / name, **{"scale": 0.006, "seed": 1, "processes": 1, **options})
        return bytes_below(self.directory / name)

    def test_are_the_same_for_the_same_seed_whatever_the_number_of_processes(self):
        # More than one block of lines in the largest file.
        first = self.generate("first")
        self.assertEqual(first, self.generate("second", processes=2))
        other = self.generate("other", seed=2)
        self.assertEqual({name for name in first if first[name] == other[name]}, {"test.hdb", "test.ndb"})

    def test_have_the_shape_of_the_official_ones(self):
        made = self.generate("made")
        lines = {name: content.decode().splitlines() for name, content in made.items() if name != "recipe.json"}
        self.assertEqual(len(lines["main.mdb"]), 12_042)
        self.assertEqual(len(lines["wild.hsb"]), 40)
        pe = [line for line in lines["daily.ldb"] if "Target:1;" in line or "Target:1," in line]
        self.assertAlmostEqual(len(pe) / len(lines["daily.ldb"]), 0.963, delta=0.03)
        names = [line.split(";")[0] for line in lines["daily.ldb"]] + [line.split(":")[0] for line in lines["main.ndb"]]
        self.assertEqual(len(names), len(set(names)))

    def test_are_not_written_again(self):
        self.generate("made")
        (self.directory / "made" / "main.hdb").write_text("as it was left")
        self.assertEqual(self.generate("made")["main.hdb"], b"as it was left")
        self.assertNotEqual(self.generate("made", seed=3)["main.hdb"], b"as it was left")


class Corpora(Temporary):
    def test_are_the_same_for_the_same_seed(self):
        for kind in ("mixed", "text", "pe", "duplicates"):
            first = inputs.make.make(self.directory / "first", kind, 0.02, 1)
            self.assertEqual(first, inputs.make.make(self.directory / "second", kind, 0.02, 1))
            self.assertEqual(bytes_below(self.directory / "first" / kind), bytes_below(self.directory / "second" / kind))
            self.assertNotEqual(first["digest"], inputs.make.make(self.directory / "third", kind, 0.02, 2)["digest"])

    def test_costly_files_are_small_ones(self):
        inputs.make.make(self.directory, "costly", 0.02, 1)
        sizes = [path.stat().st_size for path in (self.directory / "costly").iterdir()]
        self.assertEqual(len(sizes), 4)
        self.assertTrue(all(2**19 < size < 2**20 for size in sizes), sizes)

    def test_hold_each_content_once_but_for_duplicates(self):
        for kind in ("mixed", "text", "pe"):
            made = inputs.make.make(self.directory, kind, 0.02, 1)
            self.assertEqual(made["files"], made["contents"])
        made = inputs.make.make(self.directory, "duplicates", 0.02, 1)
        self.assertEqual(made["files"], 200)
        self.assertLessEqual(made["contents"], 10)


class Comparing(unittest.TestCase):
    def test_same_verdicts(self):
        for ours, clamds, alike in (
                (("clean", ""), "OK", True), (("infected", "A"), "A FOUND", True),
                (("unscannable", "encrypted"), "Heuristics.Encrypted.Zip FOUND", True),
                (("unscannable", "limit-exceeded"), "Heuristics.Limits.Exceeded.MaxFiles FOUND", True),
                (("unscannable", "timeout"), "Time limit reached ERROR", True),
                (("clean", ""), "A FOUND", False), (("infected", "A"), "OK", False), (("infected", "A"), "B FOUND", False),
                (("unscannable", "encrypted"), "OK", False), (("clean", ""), "Heuristics.Encrypted.Zip FOUND", False),
                (("clean", ""), "Can't open file ERROR", False)):
            self.assertEqual(cold.same(ours, clamds), alike, (ours, clamds))

    def test_rounds_alternate_and_ratios_are_of_the_same_round(self):
        order = []

        class Quiet:
            def step(self, text):
                pass

        context = Context(Path(), Path(), Path(), True, 3, progress=Quiet())
        values = {"a": iter([2.0, 30.0, 4.0]), "b": iter([1.0, 10.0, 4.0])}

        def runner(name):
            def run():
                order.append(name)
                return next(values[name])
            return run

        results = rounds.in_turn(context, "x", {"a": runner("a"), "b": runner("b")})
        self.assertEqual("".join(order), "abbaab")
        self.assertEqual(rounds.ratio(results, "a", "b"), 2.0)


class Reports(Temporary):
    def test_results_are_written_with_aims_and_plots(self):
        section = report.Section("Known contents", [report.Table("Rates", ["who", "n"], [["a", "1"]], "A note.")],
                                 [report.Plot("p", "P < Q", "x", "y", {"a": [(1, 2.0), (1000, 30.0)]}, log_x=True)],
                                 [report.Aim("fast", "1.00", "0.50", False)], ["remark"])
        report.save(self.directory / "saved", "hits", section, {"commit": "abc", "machine": "m"}, True)
        report.write(self.directory / "saved", ["cold", "hits"], self.directory / "RESULTS.md")
        text = (self.directory / "RESULTS.md").read_text()
        for part in ("| fast | 1.00 | 0.50 | **no** |", "commit: abc; machine: m; **a `--quick` run**", "| who | n |\n|---|---:|\n| a | 1 |",
                     "A note.", "![P < Q](plots/p.svg)", "* remark"):
            self.assertIn(part, text)
        xml.etree.ElementTree.parse(self.directory / "plots" / "p.svg")

    def test_aims_that_were_reached_as_far_as_could_be_measured(self):
        aims = [report.Aim("a", "1", "1", True), report.Aim("b", "1", "1", True, partly=True), report.Aim("c", "1", "1", False, partly=True)]
        report.save(self.directory / "saved", "hits", report.Section("Known contents", aims=aims), {}, False)
        report.write(self.directory / "saved", ["hits"], self.directory / "RESULTS.md")
        text = (self.directory / "RESULTS.md").read_text()
        for line in ("| a | 1 | 1 | yes |", "| b | 1 | 1 | partly |", "| c | 1 | 1 | **no** |"):
            self.assertIn(line, text)

    def test_sections_of_several_commits_are_told_apart_at_the_head(self):
        def written(other: str) -> str:
            for name, commit in (("cold", "abc"), ("hits", other), ("memory", "abc")):
                report.save(self.directory / "saved", name, report.Section(name.title()), {"commit": commit, "machine": "m"}, False)
            report.write(self.directory / "saved", ["cold", "hits", "memory"], self.directory / "RESULTS.md")
            return (self.directory / "RESULTS.md").read_text().split("##")[0]

        self.assertNotIn("Not all", written("abc"))
        self.assertIn("**Not all of it is of one commit**; compare figures within a section only. abc: Cold, Memory; def: Hits.", written("def"))

    def test_a_plot_without_points_is_left_out(self):
        section = report.Section("Known contents", plots=[report.Plot("p", "Title", "x", "y", {"a": []})])
        report.save(self.directory / "saved", "hits", section, {}, False)
        report.write(self.directory / "saved", ["hits"], self.directory / "RESULTS.md")
        self.assertNotIn("plots/p.svg", (self.directory / "RESULTS.md").read_text())

    def test_axes_hold_all_points(self):
        for log in (False, True):
            for values in ([1.0], [0.03, 7.0], [1.0, 10_000.0], [999.0, 1001.0]):
                axis = svg._Axis(values, 100.0, 500.0, log)
                for value in values:
                    self.assertTrue(100 <= axis.at(value) <= 500, (log, values, axis.at(value)))
                self.assertLess(axis.at(values[0]), axis.at(values[0] * 1.001))

    def test_what_a_logarithmic_axis_cannot_show_is_left_out(self):
        drawn = svg.draw(report.Plot("p", "t", "x", "y", {"a": [(0, 1.0), (10, 1.0)]}, log_x=True))
        self.assertEqual(drawn.count("<circle"), 1)
        with self.assertRaises(ValueError):
            svg.draw(report.Plot("p", "t", "x", "y", {"a": [(0, 1.0)]}, log_x=True))


class Failing(Temporary):
    """run.py with sections that a test made up."""

    def run_with(self, **sections) -> tuple[int, str]:
        for name, function in sections.items():
            module = types.ModuleType(f"sections.{name}")
            module.run = function
            sys.modules[f"sections.{name}"] = module
            self.addCleanup(sys.modules.pop, f"sections.{name}", None)
        results = self.directory / "RESULTS.md"
        arguments = ["run.py", "--only", ",".join(sections), "--work", str(self.directory / "work"), "--results", str(results)]
        with mock.patch.object(run, "SECTIONS", list(sections)), mock.patch.object(sys, "argv", arguments), \
                contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            status = run.main()
        return status, results.read_text()

    @staticmethod
    def good(context):
        return report.Section("Good", [report.Table("Rates", ["who"], [["somebody"]])])

    def test_a_section_that_fails_in_any_way_is_shown_and_the_others_run(self):
        def refused(context):
            raise BenchFailed("a wrong answer")

        def broken(context):
            return {}["absent"]

        status, text = self.run_with(refused=refused, broken=broken, good=self.good)
        self.assertEqual(status, 1)
        self.assertIn("**FAILED, without figures:** refused, broken.", text)
        self.assertIn("**FAILED:** a wrong answer", text)
        self.assertIn("**FAILED:** KeyError: 'absent'", text)
        self.assertIn("| somebody |", text)
        self.assertRegex(text, "took: [0-9]+ s")

    def test_a_failure_takes_the_place_of_older_figures_and_goes_with_the_next_run(self):
        def fails(context):
            raise BenchFailed("this time")

        self.assertEqual(self.run_with(good=self.good)[0], 0)
        status, text = self.run_with(good=fails)
        self.assertEqual(status, 1)
        self.assertNotIn("somebody", text)
        status, text = self.run_with(good=self.good)
        self.assertEqual(status, 0)
        self.assertNotIn("FAILED", text)


class Generator(unittest.TestCase):
    """What is made of the load generator's words."""

    RIGHT = {"defects": {}, "retried": 0, "busy": 0.5}

    def result(self, **changes) -> dict:
        process = mock.Mock(args=["lazaret_load"])
        process.communicate.return_value = (json.dumps({**self.RIGHT, **changes}), "")
        return load.end(process)

    def test_a_wrong_answer_or_a_request_sent_again_fails_the_section(self):
        self.assertEqual(self.result(), self.RIGHT)
        with self.assertRaisesRegex(BenchFailed, "wrong answers"):
            self.result(defects={"status 500": 1})
        with self.assertRaisesRegex(BenchFailed, "2 requests had to be sent again"):
            self.result(retried=2)

    def test_a_run_that_the_generator_limits_is_marked(self):
        free, limited = {"busy": 0.949}, {"busy": 0.951}
        self.assertEqual((load.is_limited(free), load.is_limited(free, limited)), (False, True))
        self.assertEqual((load.busy(free), load.busy(free, limited)), ("95%", "95% **limits**"))

    def test_an_aim_is_not_reached_where_the_generator_was_the_limit(self):
        def measured(busy: float):
            one = hits.Measured(Context(Path(), Path(), Path(), True, 1), mock.Mock(url=""), "", {})
            one.results = [{"busy": busy}]
            return one

        for busy, reached in ((0.5, True), (0.97, False)):
            aim = hits.aim("fast", "1.00", "1.10", True, {"a": measured(0.5), "b": measured(busy)}, ("a", "b"))
            self.assertEqual(aim.reached, reached)
            self.assertEqual("limited by the load generator" in aim.measured, not reached)

    def test_as_many_threads_as_cores_but_no_more_than_connections(self):
        with tempfile.TemporaryDirectory() as directory:
            program = Path(directory) / "lazaret_load"
            program.touch(0o755)
            context = Context(Path(), Path(directory), Path(), True, 1, cores=4)
            for connections, threads in ((1, "1"), (3, "3"), (32, "4")):
                words = load._command(context, "http://x", {"connections": connections})
                self.assertEqual(words[words.index("--threads") + 1], threads)
            self.assertNotIn("4", load._command(context, "http://x", {}))


class Beside(unittest.TestCase):
    """Texts beside scans that are checked to run."""

    def beside(self, running: list[float], ended: bool = False):
        values = iter(running)
        server = mock.Mock()
        server.metric.side_effect = lambda series: next(values, running[-1])
        others = mock.Mock()
        others.poll.return_value = 1 if ended else None
        with mock.patch.object(scheduling.time, "sleep"), mock.patch.object(scheduling, "Watch") as watch, \
                mock.patch.object(scheduling.time, "monotonic", side_effect=itertools.count()):
            watch.return_value.__enter__.return_value.mean = 2.0
            return scheduling.beside(server, others, 2, lambda: {"rate": 1})

    def test_the_texts_begin_when_the_scans_run_and_end_before_them(self):
        self.assertEqual(self.beside([0, 1, 2, 1, 2]), ({"rate": 1}, "2.0"))

    def test_scans_that_do_not_begin_or_do_not_last_fail_the_section(self):
        with self.assertRaisesRegex(BenchFailed, "did not begin"):
            self.beside([0, 1])
        with self.assertRaisesRegex(BenchFailed, "did not begin"):
            self.beside([2, 2], ended=True)
        with self.assertRaisesRegex(BenchFailed, "at the end"):
            self.beside([2, 1])


class Parts(Temporary):
    def test_a_part_of_a_signature_that_wants_several(self):
        for line, part in (("A;Engine:51-255,Target:1;0&1;6161;6262", b"aa"), ("B;Engine:51-255,Target:1,FileSize:1-2;0&1&2;6969;6262;6363\n", b"ii"),
                           ("Alone;Engine:51-255,Target:1;0;6565", None), ("Some;Engine:51-255,Target:1;(0|1)>0;6666;6767", None),
                           ("Wild;Engine:51-255,Target:1;0&1;61??;6262", None), ("Placed;Engine:51-255,Target:1;0&1;EP+0,64:6868;6262", None)):
            self.assertEqual(memory.first_part(line), part, line)
            self.assertTrue(memory.is_for_programs(line))
        self.assertFalse(memory.is_for_programs("Other;Engine:51-255,Target:10;0&1;6363;6464"))

    def test_one_of_each_page(self):
        def line(number: int) -> str:
            return f"S{number};Target:1;0&1;{number:04x};6262"

        lines = [line(number) for number in range(40)]
        lines[0] = "Alone;Target:1;0;6565"
        self.assertEqual(memory.spread_parts(lines), [(1).to_bytes(2), (16).to_bytes(2), (32).to_bytes(2)])
        self.assertEqual(memory.spread_parts([lines[0]] * 16 + lines[16:]), [(16).to_bytes(2), (32).to_bytes(2)])

    def test_the_program_holds_the_parts_of_a_generated_set(self):
        inputs.generate.generate(self.directory / "signatures", 0.006, 1, 1)
        directory, parts, signatures = memory.many_parts(Context(Path(), Path(), self.directory, True, 1), self.directory / "signatures")
        program = (directory / "parts.exe").read_bytes()
        self.assertGreater(signatures, 1000)
        self.assertAlmostEqual(parts, signatures / 16, delta=2)
        lines = [each for each in (self.directory / "signatures" / "daily.ldb").read_text().splitlines() if memory.is_for_programs(each)]
        self.assertEqual([part for part in memory.spread_parts(lines) if part not in program], [])


class Wrapper(unittest.TestCase):
    def test_answers_what_clamd_says(self):
        for answer, verdict in (("OK", {"verdict": "clean"}), ("Some.Name FOUND", {"verdict": "infected", "signatures": ["Some.Name"]}),
                                ("INSTREAM size limit exceeded. ERROR",
                                 {"verdict": "unscannable", "reason": "INSTREAM size limit exceeded. ERROR"})):
            self.assertEqual(rest_wrapper.as_verdict(answer), verdict)

    def test_sends_the_whole_body_to_clamd_and_answers_over_a_kept_connection(self):
        with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as clamd:
            path = f"{directory}/clamd"
            clamd.bind(path)
            clamd.listen()
            received = []

            def serve():
                for answer in (b"stream: OK\0", b"stream: A FOUND\0"):
                    client, _ = clamd.accept()
                    with client, client.makefile("rb") as stream:
                        self.assertEqual(stream.read(10), b"zINSTREAM\0")
                        body = b""
                        while size := int.from_bytes(stream.read(4)):
                            body += stream.read(size)
                        received.append(body)
                        client.sendall(answer)

            server = rest_wrapper.Wrapper(path, 0)
            threads = [threading.Thread(target=serve), threading.Thread(target=server.serve_forever)]
            for thread in threads:
                thread.start()
            client = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
            answers = []
            bodies = [b"x" * 200_000, b"y"]
            for body in bodies:
                client.request("POST", "/scan", body)
                answers.append(json.loads(client.getresponse().read()))
            client.close()
            server.shutdown()
            server.server_close()
            for thread in threads:
                thread.join()
        self.assertEqual(received, bodies)
        self.assertEqual(answers, [{"verdict": "clean"}, {"verdict": "infected", "signatures": ["A"]}])


class Filling(Temporary):
    def make(self, check: bytes | None = None) -> Path:
        path = self.directory / "verdicts.db"
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE engines(id INTEGER PRIMARY KEY, identity BLOB)")
        database.execute("CREATE TABLE verdicts(digest BLOB PRIMARY KEY, kind INTEGER, reason INTEGER, signatures BLOB, detail TEXT, size INTEGER,"
                         " scanned_at INTEGER, scan_ms REAL, engine_id INTEGER, expires_at INTEGER, last_used INTEGER, \"check\" BLOB) WITHOUT ROWID")
        digest, engine = b"x" * 32, b"e" * 32
        row = {"kind": 7, "reason": 0, "signatures": b"1:A,", "detail": "why", "size": 5, "scanned_at": 1, "scan_ms": 2.5, "engine_id": 3,
               "expires_at": 9, "last_used": 8}
        database.execute("INSERT INTO engines VALUES(3, ?)", (engine,))
        database.execute("INSERT INTO verdicts VALUES(?,?,?,?,?,?,?,?,?,?,?,?)", (digest, *row.values(), check or growth.check_of(row, engine)(digest)))
        database.commit()
        database.close()
        return path

    def ask(self, path: Path, question: str) -> list:
        database = sqlite3.connect(path)
        try:
            return database.execute(question).fetchall()
        finally:
            database.close()

    def test_the_cache_grows_to_the_number_that_is_wanted(self):
        path = self.make()
        for wanted in (1, 1000, 5000):
            growth.fill_cache(path, wanted)
            self.assertEqual(self.ask(path, "SELECT count(*), min(kind), max(length(digest)), count(DISTINCT \"check\") FROM verdicts"),
                             [(wanted, 7, 32, wanted)])

    def test_a_check_that_is_computed_in_another_way_is_noticed(self):
        with self.assertRaisesRegex(BenchFailed, "another way"):
            growth.fill_cache(self.make(b"anything"), 10)

    def test_a_sample_is_of_all_of_the_index_and_holds_each_once(self):
        path = self.make()
        growth.fill_cache(path, 5000)
        found = growth.sample(path, "verdicts", "digest", 1000, 1)
        self.assertEqual(len(found), len(set(found)))
        self.assertGreater(len(found), 800)
        self.assertEqual(len({digest[0] >> 5 for digest in found}), 8)
        self.assertLessEqual(set(found), {row[0] for row in self.ask(path, "SELECT digest FROM verdicts")})
        self.assertEqual(found, growth.sample(path, "verdicts", "digest", 1000, 1))


if __name__ == "__main__":
    unittest.main()
