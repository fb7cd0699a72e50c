"""Signatures and corpora, made when they are first asked for and kept in the work directory."""

import json
import sys
from pathlib import Path

from .context import Context

BENCH = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(BENCH / "signatures"), str(BENCH / "corpora")]
import generate  # noqa: E402
import make  # noqa: E402


def signatures(context: Context, scale: float = 1.0) -> Path:
    """The size of the official set unless a smaller one is asked for."""
    directory = context.work / f"signatures-{scale:g}"
    context.progress.step(f"signatures, scale {scale:g}")
    generate.generate(directory, scale, context.seed, context.cores)
    return directory


def total(directory: Path) -> int:
    """How many signatures are in one of them."""
    return json.loads((directory / "recipe.json").read_text())["signatures"]


def corpus(context: Context, kind: str, scale: float | None = None) -> tuple[Path, dict]:
    """Its directory, and what make.py tells about it."""
    context.progress.step(f"corpus {kind}")
    scale = scale if scale is not None else context.pick(1.0, 0.2)
    directory = context.work / f"corpora-{scale:g}"
    directory.mkdir(parents=True, exist_ok=True)
    return directory / kind, make.make(directory, kind, scale, context.seed)
