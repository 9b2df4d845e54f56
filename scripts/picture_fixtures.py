#!/usr/bin/env python3
"""Makes the small HEIC and JPEG XL files that the tests of src/imaging read, which Safelight itself can't write.

Needs pillow-heif and numpy from PyPI, and cjxl (libjxl-tools):

    pip install pillow-heif numpy && scripts/picture_fixtures.py

The picture is the one of `samples::picture` in src/imaging/tests/samples.rs: smooth, no two channels alike, alpha from
transparent to opaque. Encoders of another version write other bytes; the tests allow for that.
"""

import pathlib
import struct
import subprocess
import tempfile
import zlib

import numpy
import pillow_heif

FIXTURES = pathlib.Path(__file__).parent.parent / "src/imaging/tests/fixtures"


def picture(width, height, alpha=False, bits=8):
    y, x = numpy.mgrid[0:height, 0:width]
    u, v = x / width, y / height
    planes = [0.15 + 0.7 * u, 0.2 + 0.6 * v, 0.8 - 0.5 * u * v] + ([v] if alpha else [])
    full = (1 << bits) - 1
    samples = numpy.floor(numpy.stack(planes, axis=-1) * full + 0.5)
    return samples.astype(numpy.uint16 if bits > 8 else numpy.uint8)


def exif(orientation):
    """A block with nothing but a maker and an orientation."""
    make = b"Lumen Works\0"
    entries = [
        struct.pack("<HHII", 0x010F, 2, len(make), 38),
        struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0),
    ]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + b"".join(entries) + bytes(4) + make


def heic(name, samples, mode, quality=90, **extra):
    height, width = samples.shape[:2]
    heif = pillow_heif.from_bytes(mode=mode, size=(width, height), data=samples.tobytes())
    heif.save(FIXTURES / name, quality=quality, save_nclx_profile=True, **extra)


def png(path, samples):
    height, width, channels = samples.shape
    bits = samples.dtype.itemsize * 8
    rows = samples.astype(">u2" if bits == 16 else "u1")
    data = b"".join(b"\0" + rows[row].tobytes() for row in range(height))

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, {3: 2, 4: 6}[channels], 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    )


def jxl(name, samples, *options):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "picture.png"
        png(source, samples)
        subprocess.run(["cjxl", source, FIXTURES / name, "--quiet", *options], check=True)


def boxed(name, codestream, orientation):
    """Puts a codestream into boxes, in two parts, with a block that says that the picture has to be turned."""

    def box(kind, body):
        return struct.pack(">I", 8 + len(body)) + kind + body

    half = len(codestream) // 2
    parts = [
        box(b"JXL ", b"\r\n\x87\n"),
        box(b"ftyp", b"jxl \0\0\0\0jxl "),
        box(b"jxlp", struct.pack(">I", 0) + codestream[:half]),
        box(b"Exif", bytes(4) + exif(orientation)),
        box(b"jxlp", struct.pack(">I", 0x80000001) + codestream[half:]),
    ]
    (FIXTURES / name).write_bytes(b"".join(parts))


def main():
    FIXTURES.mkdir(exist_ok=True)
    heic("still.heic", picture(64, 48), "RGB")
    heic("deep.heic", picture(64, 48, bits=16), "RGB;16")
    heic("alpha.heic", picture(64, 48, alpha=True), "RGBA")
    jxl("lossless.jxl", picture(24, 18, alpha=True, bits=16), "--distance=0")
    jxl("lossy.jxl", picture(24, 18), "--distance=1", "--container=0")
    boxed("boxed.jxl", (FIXTURES / "lossy.jxl").read_bytes(), 6)
    for path in sorted(FIXTURES.iterdir()):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
