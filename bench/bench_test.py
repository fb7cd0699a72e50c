#!/usr/bin/env python3
"""Tests of what run.py is made of, those that need no server."""

import sys
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from harness import inputs, report, rounds, svg  # noqa: E402
from harness.context import Context  # noqa: E402
from sections import cold, growth  # noqa: E402


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


class Filling(Temporary):
    def test_the_cache_grows_to_the_number_that_is_wanted(self):
        import sqlite3
        path = self.directory / "verdicts.db"
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE verdicts(digest BLOB PRIMARY KEY, kind INTEGER) WITHOUT ROWID")
        database.execute("INSERT INTO verdicts VALUES(?, 7)", (b"x" * 32,))
        database.commit()
        database.close()
        for wanted in (1, 1000, 5000):
            growth.fill_cache(path, wanted)
            database = sqlite3.connect(path)
            self.assertEqual(database.execute("SELECT count(*), min(kind), max(length(digest)) FROM verdicts").fetchone(), (wanted, 7, 32))
            database.close()


if __name__ == "__main__":
    unittest.main()
