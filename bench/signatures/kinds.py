"""One line of each kind of ClamAV signature file, drawn at random with the shape of the official ones."""

import math
import random
from collections.abc import Callable

from material import Material

# The numbers that libclamav gives to kinds of files.
ANY, PE, OLE2, HTML, MAIL, ELF, TEXT, PDF = 0, 1, 2, 3, 4, 6, 7, 10

PLATFORMS = {ANY: "Multios", PE: "Win", OLE2: "Doc", HTML: "Html", MAIL: "Email", ELF: "Unix", TEXT: "Txt", PDF: "Pdf"}
CATEGORIES = ["Adware", "Downloader", "Dropper", "Exploit", "Keylogger", "Malware", "Packed", "Ransomware", "Spyware", "Tool",
              "Trojan", "Virus", "Worm"]
FAMILIES = ["Agent", "Autoit", "Bladabindi", "Cerber", "Coinminer", "DarkKomet", "Delf", "Dridex", "Emotet", "Fareit", "Gafgyt",
            "Gandcrab", "Generic", "Glupteba", "Hupigon", "Icedid", "Kovter", "Kryptik", "Lokibot", "Mirai", "Nanocore", "Njrat",
            "Qbot", "Ramnit", "Razy", "Remcos", "Ruskill", "Sality", "Swisyn", "Tinba", "Tofsee", "Upatre", "Ursnif", "Vobfus",
            "Zbot", "Zegost", "Zusy"]

# Nearly all official patterns are for PE files. Those for any file and for text are looked for everywhere, and so decide
# what other files cost.
BODY_TARGETS = {ANY: 14, PE: 76, HTML: 3, TEXT: 2, ELF: 2, MAIL: 1, OLE2: 1, PDF: 1}
LOGICAL_TARGETS = {PE: 96.3, OLE2: 0.9, ANY: 0.8, ELF: 0.7, HTML: 0.5, TEXT: 0.4, PDF: 0.4}

SHA256_SHARE = 0.12  # of the .hsb files; the rest is MD5
MINIMUM_LEVEL = 73   # of libclamav, for hashes other than MD5 of a known size


class SignatureLines:
    """Lines without their end. What is drawn depends on `seed` alone; `first_number` keeps names apart."""

    def __init__(self, seed: str, first_number: int):
        self._random = random.Random(seed)
        self._material = Material(self._random)
        self._number = first_number

    def line(self, kind: str) -> str:
        """`kind`: the extension of the file that it is for."""
        makers: dict[str, Callable[[], str]] = {
            "hdb": self._md5, "hsb": self._hash, "mdb": self._section_md5, "msb": self._section_sha256,
            "ndb": self._body, "ldb": self._logical, "fp": self._known_good,
        }
        return makers[kind]()

    def wild_hash(self, number: int) -> str:
        """A hash of a file of any size: with these libclamav computes MD5, SHA-1 and SHA-256 of every layer."""
        return f"{self._hex((16, 20, 32)[number % 3])}:*:{self._name(PE)}:{MINIMUM_LEVEL}"

    # -- hashes

    def _md5(self) -> str:
        return f"{self._hex(16)}:{self._file_size()}:{self._name(PE)}"

    def _hash(self) -> str:
        size = 32 if self._random.random() < SHA256_SHARE else 16
        return f"{self._hex(size)}:{self._file_size()}:{self._name(PE)}:{MINIMUM_LEVEL}"

    def _section_md5(self) -> str:
        return f"{self._section_size()}:{self._hex(16)}:{self._name(PE)}"

    def _section_sha256(self) -> str:
        return f"{self._section_size()}:{self._hex(32)}:{self._name(PE)}:{MINIMUM_LEVEL}"

    def _known_good(self) -> str:
        return f"{self._hex(16)}:{self._file_size()}:{self._name(PE)}"

    # -- patterns

    def _body(self) -> str:
        rng = self._random
        target = self._choose(BODY_TARGETS)
        pattern = self._pattern(target, self._log_normal(66, 0.6, 24, 400))
        text = self._with_wildcard(pattern) if rng.random() < 0.35 else pattern.hex()
        offset = "*"
        if target == PE and rng.random() < 0.3:
            reach = rng.randint(0, 240)
            offset = rng.choice(["EP+0", f"EP+{reach},64", f"SL+{reach},64", "S0+0", f"S1+{reach}"])
        elif rng.random() < 0.05:
            offset = str(rng.randint(0, 4096))
        return f"{self._name(target)}:{target}:{offset}:{text}"

    def _logical(self) -> str:
        rng = self._random
        target = self._choose(LOGICAL_TARGETS)
        # Five patterns on average, one alone seldom.
        count = min(1 + int(rng.expovariate(1 / 4.2)), 24)
        if count == 1 and rng.random() < 0.7:
            count = 2
        patterns = [self._sub_pattern(target) for _ in range(count)]
        expression = self._expression(count)
        description = f"Engine:51-255,Target:{target}"
        if rng.random() < 0.03:
            description += f",FileSize:{rng.randint(512, 65536)}-{rng.randint(65537, 8 << 20)}"
        elif target == ANY and rng.random() < 0.2:
            description += ",Container:CL_TYPE_ZIP"
        if count < 20 and rng.random() < 0.006:
            ending = self._material.nonce(6).decode().lower()
            patterns.append(f"0/{rng.choice(['https?', 'exec', 'token'])}[a-z0-9]{{3,16}}{ending}/i")
            expression = f"({expression})&{count}"
        return ";".join([self._name(target), description, expression, *patterns])

    def _sub_pattern(self, target: int) -> str:
        rng = self._random
        pattern = self._pattern(target, self._log_normal(20, 0.55, 10, 240))
        text = self._with_wildcard(pattern) if rng.random() < 0.024 else pattern.hex()
        if target == PE and rng.random() < 0.02:
            text = rng.choice(["EP+0,64:", "0:", f"EOF-{rng.randint(64, 4096)}:"]) + text
        if rng.random() < 0.01:
            text += "::" + rng.choice(["i", "w", "iw"])
        return text

    def _expression(self, count: int) -> str:
        """All of them, mostly; else one of either half, or more than so many."""
        share = self._random.random()
        ids = [str(number) for number in range(count)]
        if share < 0.82 or count < 3:
            return "&".join(ids)
        if share < 0.92:
            return f"({'|'.join(ids[:count // 2])})&({'|'.join(ids[count // 2:])})"
        return f"({'|'.join(ids)})>{max(1, count // 2 - 1)}"

    def _pattern(self, target: int, size: int) -> bytes:
        """At least `size` bytes; the last third, or more, is random."""
        rng, material = self._random, self._material
        if target in (HTML, TEXT, MAIL):  # is matched against text that libclamav has made lower-case
            tail = material.nonce(max(8, size // 3)).lower()
            return material.text(max(4, size - len(tail))).lower() + tail
        share = rng.random()
        if target in (ANY, PE, ELF) and share < 0.5 and not (target == ANY and share > 0.3):
            tail = material.raw(max(8, size // 3))
            return material.code(max(4, size - len(tail))) + tail
        if share < 0.75:
            tail = material.nonce(max(9, size // 3))
            return material.text(max(4, size - len(tail))) + tail
        if share < 0.85:  # UTF-16, as Windows keeps its strings
            tail = material.nonce(max(5, size // 6))
            return (material.text(max(3, size // 2 - len(tail))) + tail).decode("latin-1").encode("utf-16-le")
        return material.raw(max(10, size))

    def _with_wildcard(self, pattern: bytes) -> str:
        """One ?? {n-m} (aa|bb) or * with at least six fixed bytes before and eight behind it."""
        rng, text = self._random, pattern.hex()
        if len(pattern) < 16:
            return text
        cut = 2 * rng.randint(6, len(pattern) - 9)
        share = rng.random()
        if share < 0.4:
            return f"{text[:cut]}??{text[cut + 2:]}"
        if share < 0.7:
            least = rng.randint(1, 40)
            return f"{text[:cut]}{{{least}-{least + rng.randint(1, 60)}}}{text[cut:]}"
        if share < 0.85:
            return f"{text[:cut]}({rng.getrandbits(8):02x}|{rng.getrandbits(8):02x}){text[cut + 2:]}"
        return f"{text[:cut]}*{text[cut:]}"

    # -- small things

    def _hex(self, size: int) -> str:
        return self._random.randbytes(size).hex()

    def _name(self, target: int) -> str:
        self._number += 1
        rng = self._random
        return f"{PLATFORMS[target]}.{rng.choice(CATEGORIES)}.{rng.choice(FAMILIES)}-{self._number}-{rng.getrandbits(1)}"

    def _choose(self, weights: dict[int, float]) -> int:
        return self._random.choices(list(weights), weights.values())[0]

    def _log_normal(self, median: float, sigma: float, least: int, most: int) -> int:
        return min(max(int(self._random.lognormvariate(math.log(median), sigma)), least), most)

    def _file_size(self) -> int:
        """Programs, mostly: six of ten are aligned to 512 bytes."""
        size = self._log_normal(200_000, 1.5, 300, 60_000_000)
        return (size // 512 + 1) * 512 if self._random.random() < 0.6 else size

    def _section_size(self) -> int:
        return self._log_normal(30_000, 1.4, 512, 8_000_000) // 512 * 512
