#!/usr/bin/env python3
"""Quality of the built-in restoration beside chains of OpenCV.

    pip install opencv-python-headless numpy scikit-image
    scripts/restore-bench.py target/release/safelight [--kinds fade,scratch] [--json FILE]

Five photographs of the scikit-image package (public domain or CC0; nothing of ours was trained on them) are damaged by
scripts/restore-bench/degrade.py and repaired, by the program and by the chains of scripts/restore-bench/anchor.py. Each
row shows the gain in PSNR over the damaged picture: the mean of the five pictures and the worst. 'clean' rows show what
is done to a picture with nothing wrong with it: 0 is best, identical counts as 60 dB. The script fails if a row is
behind OpenCV.

    scripts/restore-bench.py target/release/safelight --bench DIR

takes pictures and damage from DIR instead: images/*, and degrade.py with `KINDS` (name: function and level) and
`scratch_mask`.
"""

import argparse
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile

import cv2
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent / "restore-bench"
sys.path.insert(0, str(HERE))
import anchor  # noqa: E402
import degrade  # noqa: E402
import metrics  # noqa: E402

PHOTOGRAPHS = ["astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg"]
CROP = 384

# What is asked of our program: name, flags, kinds of damage, whether it is shown the damage.
RUNS = [
    ("auto", ["--preset", "auto"],
     "fade redfade noise10 noise25 grain jpeg25 scratch halftone aged clean", False),
    ("auto, damage marked", ["--preset", "auto", "--mask", "{mask}"], "scratch aged", True),
    ("inpaint=1, marked", ["--step", "inpaint=1", "--mask", "{mask}"], "scratch", True),
    ("inpaint=1", ["--step", "inpaint=1"], "scratch clean", False),
    ("descreen=1", ["--step", "descreen=1"], "halftone clean", False),
    ("deblur=1", ["--step", "deblur=1"], "blur clean", False),
    ("upscale=1", ["--step", "upscale=1"], "down2", False),
    ("newspaper_clipping", ["--preset", "newspaper_clipping"], "halftone", False),
    ("strong", ["--preset", "strong"], "noise10 noise25 grain jpeg25", False),
]


def photographs():
    import skimage.data
    folder = pathlib.Path(skimage.data.__file__).parent
    missing = [name for name in PHOTOGRAPHS if not (folder / name).is_file()]
    if missing:
        sys.exit(f"scikit-image came without {', '.join(missing)}: install the wheel from PyPI")
    return [folder / name for name in PHOTOGRAPHS]


def other_bench(folder):
    """Pictures, damage and mask of another bench, in the shape of ours."""
    spec = importlib.util.spec_from_file_location("other_degrade", folder / "degrade.py")
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    kinds = {
        name: (lambda picture, seed, make=make, level=level: make(picture, level, seed))
        for name, (make, level) in other.KINDS.items()
    } | {"clean": lambda picture, seed: picture}
    def marked(shape, seed):
        return cv2.dilate(np.uint8(other.scratch_mask(shape, seed)[0] > 0.02) * 255, np.ones((3, 3), np.uint8))
    return sorted((folder / "images").iterdir()), kinds, marked


def middle(path):
    """The middle of a photograph, without the frame that some scans have."""
    picture = cv2.imread(str(path))[4:-4, 4:-4]
    top, left = max(0, (picture.shape[0] - CROP) // 2), max(0, (picture.shape[1] - CROP) // 2)
    picture = picture[top:top + CROP, left:left + CROP]
    return picture[: picture.shape[0] // 4 * 4, : picture.shape[1] // 4 * 4].copy()


def run_ours(binary, flags, damaged, mask):
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: str(pathlib.Path(folder) / f"{name}.png") for name in ("in", "out", "mask")}
        cv2.imwrite(paths["in"], damaged)
        if mask is not None:
            cv2.imwrite(paths["mask"], mask)
        flags = [flag.format(**paths) for flag in flags]
        command = [binary, "restore", paths["in"], "-o", paths["out"], *flags]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
        return cv2.imread(paths["out"])


class Case:
    """One photograph with one kind of damage."""

    def __init__(self, path, number, kind, kinds, marked):
        self.clean, seed = middle(path), 100 + number
        self.damaged = kinds[kind](self.clean, seed)
        self.mask = marked(self.clean.shape, seed) if kind in ("scratch", "aged") else None
        height, width = self.clean.shape[:2]
        base = self.damaged
        if base.shape != self.clean.shape:
            base = cv2.resize(base, (width, height), interpolation=cv2.INTER_LINEAR)
        self.before = metrics.psnr(self.clean, base), metrics.ssim(self.clean, base)

    def gain(self, repaired):
        if repaired.shape != self.clean.shape:
            sys.exit(f"the result is {repaired.shape}, not {self.clean.shape}")
        return metrics.psnr(self.clean, repaired) - self.before[0], metrics.ssim(self.clean, repaired) - self.before[1]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("binary", help="the safelight program")
    arguments.add_argument("--bench", type=pathlib.Path, help="another bench's directory")
    arguments.add_argument("--kinds", help="only these kinds of damage, separated by commas")
    arguments.add_argument("--json", help="file to write the rows to")
    arguments = arguments.parse_args()
    cv2.setNumThreads(1)
    binary = str(pathlib.Path(arguments.binary).resolve())
    files, kinds, marked = photographs(), degrade.KINDS, degrade.marked
    if arguments.bench:
        files, kinds, marked = other_bench(arguments.bench)
    wanted = arguments.kinds.split(",") if arguments.kinds else list(anchor.CHAINS)
    print(f"{'kind':9} {'ours':20} {'dPSNR':>7} {'worst':>7} {'dSSIM':>7}   {'OpenCV':29} {'dPSNR':>7} {'worst':>7}")
    rows, behind = [], 0
    for kind in wanted:
        cases = [Case(path, number, kind, kinds, marked) for number, path in enumerate(files)]
        chains = [
            (name, shown, np.array([case.gain(chain(case.damaged, case.mask)) for case in cases]))
            for name, shown, chain in anchor.CHAINS[kind]
        ]
        for name, flags, for_kinds, shown in RUNS:
            if kind not in for_kinds.split():
                continue
            ours = np.array([case.gain(run_ours(binary, flags, case.damaged, case.mask if shown else None))
                             for case in cases])
            rival, _, theirs = max((chain for chain in chains if chain[1] == shown), key=lambda c: c[2][:, 0].mean())
            is_behind = ours[:, 0].mean() < theirs[:, 0].mean()
            behind += is_behind
            print(f"{kind:9} {name:20} {ours[:, 0].mean():+7.2f} {ours[:, 0].min():+7.2f} {ours[:, 1].mean():+7.3f}   "
                  f"{rival:29} {theirs[:, 0].mean():+7.2f} {theirs[:, 0].min():+7.2f}{'   BEHIND' if is_behind else ''}",
                  flush=True)
            rows.append({"kind": kind, "ours": name, "gains": ours[:, 0].tolist(), "ssim": ours[:, 1].tolist(),
                         "opencv": rival, "opencv_gains": theirs[:, 0].tolist()})
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(rows, indent=1))
    sys.exit(1 if behind else 0)


if __name__ == "__main__":
    main()
