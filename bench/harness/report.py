"""Results: kept as JSON, one file a section, and written together as RESULTS.md with its plots."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Table:
    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""


@dataclass
class Aim:
    what: str
    wanted: str
    measured: str
    reached: bool
    partly: bool = False  # reached as far as could be measured here


@dataclass
class Plot:
    name: str  # of the file, without its ending
    title: str
    x_label: str
    y_label: str
    series: dict[str, list[tuple[float, float]]]
    log_x: bool = False
    log_y: bool = False


@dataclass
class Section:
    title: str
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: str = ""  # why there are no figures


def in_words(aim: Aim) -> str:
    return "NOT reached" if not aim.reached else "partly" if aim.partly else "reached"


def as_text(table: Table) -> str:
    """For a terminal."""
    rows = [table.columns, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    lines = [table.title]
    for row in rows:
        cells = [cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  " + "  ".join(cells))
    if table.note:
        lines.append(f"  {table.note}")
    return "\n".join(lines)


def _markdown(table: Table) -> str:
    lines = [f"**{table.title}**", "", "| " + " | ".join(table.columns) + " |",
             "|---|" + "---:|" * (len(table.columns) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in table.rows]
    if table.note:
        lines += ["", table.note]
    return "\n".join(lines)


def save(directory: Path, name: str, section: Section, machine: dict[str, str], quick: bool) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.json").write_text(json.dumps({"machine": machine, "quick": quick, "section": asdict(section)}, indent=1))


def _load(path: Path) -> tuple[dict[str, str], bool, Section]:
    stored = json.loads(path.read_text())
    section = stored["section"]
    return stored["machine"], stored["quick"], Section(
        section["title"], [Table(**table) for table in section["tables"]], [Plot(**plot) for plot in section["plots"]],
        [Aim(**aim) for aim in section["aims"]], section["notes"], section.get("failed", ""))


def _apart(found: list[tuple[dict[str, str], bool, Section]], key: str, what: str) -> list[str]:
    """Says which sections have which value of what they were measured on, when it is not one for all."""
    titles: dict[str, list[str]] = {}
    for machine, _, section in found:
        titles.setdefault(machine.get(key, "?"), []).append(section.title)
    if len(titles) < 2:
        return []
    return [f"**Not all of it is of one {what}**; compare figures within a section only. " +
            "; ".join(f"{value}: {', '.join(names)}" for value, names in titles.items()) + ".", ""]


def write(saved: Path, order: list[str], target: Path) -> None:
    """RESULTS.md of all sections that have been saved, and plots/ beside it."""
    from . import svg  # it knows Plot

    found = [_load(saved / f"{name}.json") for name in order if (saved / f"{name}.json").exists()]
    lines = ["# Results", "", "Written by `bench/run.py`; how each figure comes about is in [README.md](README.md). "
             "Ratios are medians of rounds in turn; in brackets the lowest and the highest round.", ""]
    lines += _apart(found, "commit", "commit") + _apart(found, "machine", "machine")
    failed = [section for _, _, section in found if section.failed]
    if failed:
        lines += [f"**FAILED, without figures:** {', '.join(section.title for section in failed)}.", ""]
    aims = [aim for _, _, section in found for aim in section.aims]
    words = {"reached": "yes", "partly": "partly", "NOT reached": "**no**"}
    if aims:
        lines += ["## Aims", "", "| aim | wanted | measured | reached |", "|---|---|---|---|"]
        lines += [f"| {aim.what} | {aim.wanted} | {aim.measured} | {words[in_words(aim)]} |" for aim in aims] + [""]
    for machine, quick, section in found:
        lines += [f"## {section.title}", "", "; ".join(f"{key}: {value}" for key, value in machine.items()) +
                  ("; **a `--quick` run**" if quick else ""), ""]
        if section.failed:
            lines += ["**FAILED:** " + " ".join(section.failed.split()), ""]
        for table in section.tables:
            lines += [_markdown(table), ""]
        for plot in section.plots:
            if not any(plot.series.values()):
                continue
            lines += [f"![{plot.title}](plots/{plot.name}.svg)", ""]
            (target.parent / "plots").mkdir(exist_ok=True)
            (target.parent / "plots" / f"{plot.name}.svg").write_text(svg.draw(plot))
        for note in section.notes:
            lines += [f"* {note}"]
        lines += [""] if section.notes else []
    target.write_text("\n".join(lines))
