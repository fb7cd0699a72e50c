"""Builds small Windows programs (PE32) that are not meant to run: enough of one for a scanner to treat it as such."""

import struct

FILE_ALIGNMENT, SECTION_ALIGNMENT = 0x200, 0x1000
HAS_CODE, HAS_DATA, READ, WRITE, EXECUTE = 0x20, 0x40, 0x40000000, 0x80000000, 0x20000000


def _aligned(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def build(code: bytes, data: bytes, time: int) -> bytes:
    """A program of the three usual sections, linked at `time` (seconds since 1970)."""
    half = len(data) // 2
    contents = [(b".text", code, HAS_CODE | READ | EXECUTE), (b".rdata", data[:half], HAS_DATA | READ),
                (b".data", data[half:], HAS_DATA | READ | WRITE)]
    headers_size = _aligned(0x80 + 24 + 224 + 40 * len(contents), FILE_ALIGNMENT)
    sections, body, file_offset, address = b"", b"", headers_size, SECTION_ALIGNMENT
    for name, content, flags in contents:
        raw = content.ljust(_aligned(len(content), FILE_ALIGNMENT), b"\0")
        sections += struct.pack("<8sIIIIIIHHI", name, len(content), address, len(raw), file_offset, 0, 0, 0, 0, flags)
        body += raw
        file_offset += len(raw)
        address += _aligned(len(content), SECTION_ALIGNMENT)
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x80)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x14C, len(contents), time, 0, 0, 224, 0x102)
    optional = struct.pack("<HBBIIIIIIIIIHHHHHHIIIIHHIIIIII", 0x10B, 14, 0, _aligned(len(code), FILE_ALIGNMENT), len(data), 0,
                           SECTION_ALIGNMENT, SECTION_ALIGNMENT, 2 * SECTION_ALIGNMENT, 0x400000, SECTION_ALIGNMENT,
                           FILE_ALIGNMENT, 6, 0, 0, 0, 6, 0, 0, address, headers_size, 0, 3, 0, 0x100000, 0x1000, 0x100000,
                           0x1000, 0, 16) + bytes(16 * 8)
    return (dos.ljust(0x80, b"\0") + coff + optional + sections).ljust(headers_size, b"\0") + body
