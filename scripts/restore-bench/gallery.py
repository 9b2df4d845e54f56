#!/usr/bin/env python3
"""Renders the sheet of docs/engine.md: our own pictures, damaged by degrade.py, restored by the program, and as they were.

    pip install opencv-python-headless numpy
    scripts/restore-bench/gallery.py target/release/safelight docs/images/engine.jpg
"""

import pathlib
import subprocess
import sys
import tempfile

import cv2
import numpy as np

import degrade

DEMO = pathlib.Path(__file__).resolve().parent.parent.parent / "assets/sample/demo"
SIDE, GAP = 300, 8

# Kind of damage, picture, upper left corner of the cut, what is asked for, whether the damage is marked.
ROWS = [
    ("redfade", "lighthouse-2019.jpg", (300, 200), ["--preset", "auto"], False),
    ("grain", "lighthouse-2019.jpg", (300, 200), ["--preset", "auto"], False),
    ("jpeg25", "apples-2004.jpg", (300, 200), ["--preset", "auto"], False),
    ("halftone", "market-street-1931.jpg", (300, 200), ["--step", "descreen=1"], False),
    ("scratch", "cabin-1996.jpg", (300, 200), ["--preset", "auto"], True),
    ("down2", "market-street-1931.jpg", (300, 200), ["--step", "upscale=1"], False),
]


def halved(path):
    """The demo's pictures are aged a little themselves; at half their size little of that is left."""
    picture = cv2.imread(str(path))
    return cv2.resize(picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA)


def restored(program, picture, mask, words):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        source, result = folder / "in.png", folder / "out.png"
        cv2.imwrite(str(source), picture)
        if mask is not None:
            cv2.imwrite(str(folder / "mask.png"), mask)
            words = [*words, "--mask", str(folder / "mask.png")]
        subprocess.run([program, "restore", source, "-o", result, *words], check=True, capture_output=True)
        return cv2.imread(str(result))


def main():
    program, target = sys.argv[1:]
    sheet = []
    for kind, name, (left, top), words, is_marked in ROWS:
        whole = halved(DEMO / name)
        left, top = min(left, whole.shape[1] - SIDE), min(top, whole.shape[0] - SIDE)
        before = degrade.KINDS[kind](whole, 3)
        mask = degrade.marked(whole.shape[:2], 3) if is_marked else None
        after = restored(program, before, mask, words)
        if kind == "down2":
            before = cv2.resize(before, (whole.shape[1], whole.shape[0]), interpolation=cv2.INTER_CUBIC)
            after = cv2.resize(after, (whole.shape[1], whole.shape[0]))
        cut = [picture[top:top + SIDE, left:left + SIDE] for picture in (before, after, whole)]
        line = np.full((SIDE, 3 * SIDE + 2 * GAP, 3), 255, np.uint8)
        for column, picture in enumerate(cut):
            line[:, column * (SIDE + GAP):column * (SIDE + GAP) + SIDE] = picture
        sheet += [line, np.full((GAP, line.shape[1], 3), 255, np.uint8)]
    cv2.imwrite(target, np.vstack(sheet[:-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
