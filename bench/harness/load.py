"""Runs the load generator."""

import json
import subprocess
from pathlib import Path

from .context import BenchFailed, Context

# Of a generator's busiest thread. Beyond this a run says what the generator can do, not what the server can.
LIMIT = 0.95


def _command(context: Context, url: str, options: dict) -> list[str]:
    """`connections=8, hash_first=True` becomes --connections 8 --hash-first. As many threads as cores share the connections."""
    options = {"threads": min(context.cores, options.get("connections", 1)), **options}
    words = [str(context.program("lazaret_load")), url, "--json"]
    for key, value in options.items():
        flag = "--" + key.replace("_", "-")
        if value is True:
            words.append(flag)
        elif isinstance(value, (list, tuple)):
            for each in value:
                words += [flag, str(each)]
        elif value is not None and value is not False:
            words += [flag, str(value)]
    return words


def _result(process: subprocess.Popen, may_fail: bool) -> dict:
    output, errors = process.communicate()
    try:
        result = json.loads(output)
    except ValueError:
        raise BenchFailed(f"lazaret_load failed: {errors[-1000:]}") from None
    if result["defects"] and not may_fail:
        raise BenchFailed(f"wrong answers: {result['defects']} ({' '.join(map(str, process.args))})")
    if result["retried"] and not may_fail:
        raise BenchFailed(f"{result['retried']} requests had to be sent again, since the server had ended their connections without an answer "
                          f"({' '.join(map(str, process.args))})")
    return result


def begin(context: Context, url: str, **options) -> subprocess.Popen:
    return subprocess.Popen(_command(context, url, options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen, may_fail: bool = False) -> dict:
    return _result(process, may_fail)


def run(context: Context, url: str, may_fail: bool = False, **options) -> dict:
    """The generator's JSON object. A wrong answer fails the section, unless it may."""
    return end(begin(context, url, **options), may_fail)


def is_limited(*results: dict) -> bool:
    """Whether one of these runs was limited by the generator."""
    return any(result["busy"] >= LIMIT for result in results)


def busy(*results: dict) -> str:
    """What share of its time the generator's busiest thread computed, for a table."""
    most = max(result["busy"] for result in results)
    return f"{most:.0%}" + (" **limits**" if is_limited(*results) else "")


BUSY_NOTE = f"Generator: how busy its busiest thread was; from {LIMIT:.0%} on it limits the row, which is then not in the plot."


def write_ids(path: Path, ids) -> Path:
    """For --ids."""
    path.write_text("".join(f"{each.hex()}\n" for each in ids))
    return path


def read_answers(path: Path) -> dict[str, tuple[str, str]]:
    """Verdict and finding by name."""
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return {row[0]: (row[1], row[2]) for row in rows}
