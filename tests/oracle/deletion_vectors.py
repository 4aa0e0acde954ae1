"""Deletion vectors of Delta tables, serialised from the protocol's text alone.

A bitmap of 64-bit row numbers is a 32-bit Roaring bitmap for each upper half, in the portable
format; inline it's Z85, in a file it's framed by its size and a checksum.
"""

import struct
import uuid
import zlib

MAGIC = 1681511377
Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
NO_RUN_CONTAINERS = 12346
ARRAY_MAX = 4096


def grouped(numbers, bits):
    groups = {}
    for number in sorted(set(numbers)):
        groups.setdefault(number >> bits, []).append(number & (1 << bits) - 1)
    return groups


def container(values):
    if len(values) <= ARRAY_MAX:
        return struct.pack(f"<{len(values)}H", *values)
    words = [0] * 1024
    for value in values:
        words[value >> 6] |= 1 << (value & 63)
    return struct.pack("<1024Q", *words)


def roaring(values):
    groups = grouped(values, 16)
    containers = [container(group) for group in groups.values()]
    keys = b"".join(struct.pack("<HH", key, len(group) - 1) for key, group in groups.items())
    start = 8 + len(keys) + 4 * len(groups)
    offsets = []
    for one in containers:
        offsets.append(start)
        start += len(one)
    head = struct.pack("<II", NO_RUN_CONTAINERS, len(groups))
    return head + keys + struct.pack(f"<{len(offsets)}I", *offsets) + b"".join(containers)


def serialised(rows):
    groups = grouped(rows, 32)
    bitmaps = b"".join(struct.pack("<I", key) + roaring(group) for key, group in groups.items())
    return struct.pack("<IQ", MAGIC, len(groups)) + bitmaps


def z85(data):
    data += bytes(-len(data) % 4)
    text = ""
    for (number,) in struct.iter_unpack(">I", data):
        text += "".join(Z85[number // 85**power % 85] for power in range(4, -1, -1))
    return text


def inline(rows):
    data = serialised(rows)
    return {"storageType": "i", "pathOrInlineDv": z85(data), "sizeInBytes": len(data), "cardinality": len(set(rows))}


def in_file(folder, vectors, prefix="", name=None, absolute=False):
    """One file under the table's folder for the deletion vectors; their descriptors in order."""
    name = name or uuid.uuid4()
    content = b"\x01"
    descriptors = []
    path = folder / prefix / f"deletion_vector_{name}.bin"
    for rows in vectors:
        data = serialised(rows)
        descriptors.append({
            "storageType": "p" if absolute else "u",
            "pathOrInlineDv": path.resolve().as_uri() if absolute else prefix + z85(name.bytes),
            "offset": len(content), "sizeInBytes": len(data), "cardinality": len(set(rows))})  # fmt: skip
        content += struct.pack(">I", len(data)) + data + struct.pack(">I", zlib.crc32(data))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return descriptors
