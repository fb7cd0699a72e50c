#!/usr/bin/env python3
"""Makes the files that are scanned in the benchmarks, from what every Debian has below /usr.

  mixed       documents, programs, libraries, scripts, archives as they come; in one of twenty something is to be found
  text        pieces of 4 KiB of texts and sources
  pe          Windows programs: the harmless ones of clamav-testfiles with changed ends, and some built here
  large       tar archives, logs, and programs one behind the other
  duplicates  the same hundred contents again and again
  costly      tar archives of documents just below a mebibyte: small, but long to scan
  archive     one tar of two billion bytes

Which files of /usr are taken follows from their names and the seed alone: the same on machines with the same packages.
Beside each corpus lies its manifest (name, size, SHA-256, source), whose digest tells whether two runs had the same files.
"""

import argparse
import gzip
import hashlib
import io
import os
import random
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "signatures"))
import portable_executable  # noqa: E402
from generate import MARKER, eicar  # noqa: E402

TESTFILES = Path("/usr/share/clamav-testfiles")
KIB, MIB = 1024, 1024 * 1024

Content = tuple[str, bytes, str]  # name, bytes, source


class System:
    """The files of this machine, in an order that a seed decides."""

    def __init__(self, seed: int):
        self._seed = seed

    def files(self, root: str, least: int, most: int) -> Iterator[Path]:
        found = []
        for directory, _, names in os.walk(root):
            for name in names:
                path = os.path.join(directory, name)
                if os.path.islink(path) or not path.isprintable() or not path.isascii():
                    continue
                try:
                    size = os.stat(path).st_size
                except OSError:
                    continue
                if least <= size <= most and os.path.isfile(path):
                    found.append((hashlib.sha256(f"{self._seed}/{path}".encode()).digest(), path))
        return (Path(path) for _, path in sorted(found))

    def take(self, root: str, count: int, least: int = 64, most: int = 512 * KIB) -> list[Path]:
        files = self.files(root, least, most)
        return [path for path, _ in zip(files, range(count))]


def mixed(system: System, scale: float, seed: int) -> Iterator[Content]:
    shares = {"/usr/share/doc": 200, "/usr/bin": 60, "/usr/lib": 60, "/usr/include": 40, "/usr/share": 40}
    number = 0
    for root, count in shares.items():
        for path in system.take(root, max(2, round(count * scale))):
            content = path.read_bytes()
            if number % 20 == 0:
                content = with_finding(content, number // 20)
            yield f"{number:05d}-{path.name}", content, str(path)
            number += 1
    for path in sorted(TESTFILES.iterdir())[: max(2, round(20 * scale))]:
        yield f"{number:05d}-{path.name}", path.read_bytes(), str(path)
        number += 1


def with_finding(content: bytes, number: int) -> bytes:
    """The file with something to be found in it: plain, or in an archive around it."""
    match number % 4:
        case 0:
            return content + b"\n" + MARKER + b"\n"
        case 1:
            return gzip.compress(content + MARKER, mtime=0)
        case 2:
            return zipped({"content": content, "eicar.com": eicar()})
        case _:
            return tarred([("content", content), ("marked", content[:1000] + MARKER)])


def zipped(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def tarred(members: list[tuple[str, bytes]]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def text(system: System, scale: float, seed: int) -> Iterator[Content]:
    wanted, number = max(20, round(1500 * scale)), 0
    for root in ("/usr/share/doc", "/usr/include", "/usr/lib/python3", "/usr/share/perl"):
        for path in system.files(root, 4 * KIB, MIB):
            content = path.read_bytes()
            if b"\0" in content[: 8 * KIB] or content.startswith(b"\x1f\x8b"):
                continue
            for part in range(min(3, len(content) // (4 * KIB))):
                yield f"{number:05d}.txt", content[part * 4 * KIB : (part + 1) * 4 * KIB], f"{path}#{part}"
                number += 1
            if number >= wanted * {"/usr/share/doc": 0.5, "/usr/include": 0.8}.get(root, 1):
                break


def pe(system: System, scale: float, seed: int) -> Iterator[Content]:
    """What is built here has machine code of this machine's programs and its documents' text in it."""
    rng = random.Random(f"{seed}/pe")
    programs = [path for path in sorted(TESTFILES.glob("*.exe")) if path.stat().st_size < 300 * KIB]
    code, strings = system.files("/usr/bin", 256 * KIB, 4 * MIB), system.files("/usr/share/doc", 64 * KIB, MIB)
    for number in range(max(6, round(48 * scale))):
        if number % 2 == 0 and programs:
            path = programs[number // 2 % len(programs)]
            yield f"{number:05d}-{path.name}", path.read_bytes() + f"tail {seed} {number}".encode(), str(path)
        else:
            path = next(code)
            start, size = 64 * KIB, rng.randint(4, 96) * KIB
            made = portable_executable.build(path.read_bytes()[start : start + size],
                                             next(strings).read_bytes()[: rng.randint(2, 64) * KIB], rng.getrandbits(30))
            yield f"{number:05d}-built.exe", made, str(path)


def large(system: System, scale: float, seed: int) -> Iterator[Content]:
    size = max(2, round(16 * scale)) * MIB
    yield "programs.tar", tarred(list(members(system, "/usr/bin", size))), "/usr/bin"
    yield "documents.tar", tarred(list(members(system, "/usr/share/doc", max(2 * MIB, size // 4)))), "/usr/share/doc"
    yield "programs.bin", b"".join(content for _, content in members(system, "/usr/lib", 2 * size)), "/usr/lib"
    yield "log.txt", log(random.Random(f"{seed}/log"), 4 * size), "built"


def members(system: System, root: str, size: int) -> Iterator[tuple[str, bytes]]:
    done = 0
    for path in system.files(root, KIB, 2 * MIB):
        if done >= size:
            return
        content = path.read_bytes()
        done += len(content)
        yield str(path)[1:], content


def log(rng: random.Random, size: int) -> bytes:
    lines = [f"Nov 23 {rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d} host daemon[{rng.randrange(30000)}]: "
             f"connection from 192.0.2.{rng.randrange(256)} port {rng.randrange(65536)} took {rng.random():.6f} s\n"
             for _ in range(20_000)]
    made = bytearray()
    while len(made) < size:
        made += rng.choice(lines).encode()
    return bytes(made[:size])


def duplicates(system: System, scale: float, seed: int) -> Iterator[Content]:
    contents = [(path, path.read_bytes()) for path in system.take("/usr/share/doc", max(10, round(100 * scale)))]
    rng = random.Random(f"{seed}/duplicates")
    for number in range(20 * len(contents)):
        path, content = rng.choice(contents)
        yield f"{number:05d}-{path.name}", content, str(path)


def costly(system: System, scale: float, seed: int) -> Iterator[Content]:
    paths = system.files("/usr/share/doc", KIB, 100 * KIB)
    for number in range(max(4, round(12 * scale))):
        part, size = [], 10 * KIB  # the end of the archive
        for path in paths:
            size += path.stat().st_size + KIB
            if size > MIB - 100 * KIB:
                break
            part.append((str(path)[1:], path.read_bytes()))
        yield f"{number:05d}.tar", tarred(part), "/usr/share/doc"


def archive(system: System, scale: float, seed: int) -> Iterator[Content]:
    rng = random.Random(f"{seed}/archive")
    part = log(rng, 50_000_000)
    count = max(1, round(40 * scale))
    yield "archive.tar", tarred([(f"{number}.log", part[number:] + part[:number]) for number in range(count)]), "built"


MAKERS: dict[str, Callable[[System, float, int], Iterator[Content]]] = {
    "mixed": mixed, "text": text, "pe": pe, "large": large, "duplicates": duplicates, "costly": costly,
    "archive": archive}


def chosen(kind: str, scale: float, seed: int) -> Iterator[Content]:
    """Each content once, but where duplicates are wanted."""
    seen = set()
    for name, content, source in MAKERS[kind](System(seed), scale, seed):
        digest = hashlib.sha256(content).digest()
        if kind == "duplicates" or digest not in seen:
            yield name, content, source
        seen.add(digest)


def make(directory: Path, kind: str, scale: float, seed: int) -> dict:
    """What it holds; made anew unless it is there with the same arguments."""
    target, stamp = directory / kind, f"{kind} {scale} {seed} 3"
    stamp_file, manifest_file = directory / f"{kind}.stamp", directory / f"{kind}.tsv"
    if not (stamp_file.exists() and stamp_file.read_text() == stamp and manifest_file.exists()):
        stamp_file.unlink(missing_ok=True)
        target.mkdir(parents=True, exist_ok=True)
        for old in target.iterdir():
            old.unlink()
        with open(manifest_file, "w") as manifest:
            for name, content, source in chosen(kind, scale, seed):
                name = "".join(letter if letter.isalnum() or letter in "._-+" else "_" for letter in name)
                (target / name).write_bytes(content)
                manifest.write(f"{name}\t{len(content)}\t{hashlib.sha256(content).hexdigest()}\t{source}\n")
        stamp_file.write_text(stamp)
    rows = [line.split("\t") for line in manifest_file.read_text().splitlines()]
    return {"kind": kind, "files": len(rows), "bytes": sum(int(row[1]) for row in rows),
            "contents": len({row[2] for row in rows}),
            "digest": hashlib.sha256("".join(f"{row[0]} {row[2]}\n" for row in rows).encode()).hexdigest()[:16]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="each corpus becomes a directory below it")
    parser.add_argument("--kinds", default="mixed,text,pe,large,duplicates", help="which, between commas (default: all but the last two)")
    parser.add_argument("--scale", type=float, default=1.0, help="more or fewer files (default 1.0)")
    parser.add_argument("--seed", type=int, default=1, help="another number takes other files (default 1)")
    arguments = parser.parse_args()
    kinds = arguments.kinds.split(",")
    if unknown := [kind for kind in kinds if kind not in MAKERS]:
        parser.error(f"no such corpus: {', '.join(unknown)}; there are {', '.join(MAKERS)}")
    if arguments.scale <= 0:
        parser.error("--scale must be positive")
    if not TESTFILES.is_dir():
        parser.error(f"{TESTFILES} is missing: apt-get install clamav-testfiles")
    print(f"{'corpus':<12}{'files':>8}{'contents':>10}{'MB':>10}  digest")
    for kind in kinds:
        made = make(arguments.directory, kind, arguments.scale, arguments.seed)
        print(f"{kind:<12}{made['files']:>8}{made['contents']:>10}{made['bytes'] / 1e6:>10.1f}  {made['digest']}")


if __name__ == "__main__":
    main()
