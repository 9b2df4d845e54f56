#!/usr/bin/env python3
"""Quality of the built-in restoration beside the OpenCV anchor.

    pip install opencv-python-headless numpy
    scripts/restore-bench.py target/release/safelight [--bench ../shared/restore-bench] [--fresh-anchor] [--kinds a,b]

The pictures, the damage done to them and the measures live outside the repository, in the directory that --bench
names; without it there is nothing to do and the script says so. Each row shows the gain in PSNR over the damaged
picture, mean of the bench's five pictures and worst of them. 'clean' rows show what is done to a picture with
nothing wrong with it: 0 is best.
"""

import argparse
import pathlib
import re
import subprocess
import sys

ROW = re.compile(r"^(\S+)\s+(.+?)\s+in\s+([\d.]+)/([\d.]+)\s+dPSNR\s+([-+\d.]+) \(worst\s+([-+\d.]+)\)\s+dSSIM ([-+\d.]+)")

# What is asked of our program, the kinds of damage it is asked for, and the anchor's chains it is compared with.
RUNS = [
    ("auto", "--preset auto", "fade,redfade,noise10,noise25,grain,jpeg25,aged,clean", lambda chain: True),
    ("auto, damage marked", "--preset auto --mask {mask}", "scratch,aged", lambda chain: "ORACLE" in chain),
    ("inpaint alone", "--step inpaint=1 --mask {mask}", "scratch", lambda chain: "ORACLE" in chain),
    ("deblur alone", "--step deblur=1", "blur,clean", lambda chain: True),
]


def rows(text):
    return [match.groups() for match in map(ROW.match, text.splitlines()) if match]


def best_anchor(anchor, kind, name, accept):
    """The anchor's best chain for a kind; blind runs are not compared with chains that know the damage."""
    chains = [row for row in anchor if row[0] == kind and accept(row[1])]
    if name == "auto":
        # The anchor's damage detector belongs to a step of its own.
        chains = [row for row in chains if "ORACLE" not in row[1] and "tophat" not in row[1]]
    return max(chains, key=lambda row: float(row[4]), default=None)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("binary", help="the safelight program")
    arguments.add_argument("--bench", default="../shared/restore-bench", help="directory of bench.py")
    arguments.add_argument("--kinds", help="only these kinds of damage, separated by commas")
    arguments.add_argument("--fresh-anchor", action="store_true", help="run the anchor too instead of reading its figures")
    arguments = arguments.parse_args()
    bench = pathlib.Path(arguments.bench)
    if not (bench / "bench.py").is_file():
        sys.exit(f"{bench} holds no bench.py: the restoration bench is not here, so there is nothing to compare with")
    wanted = arguments.kinds.split(",") if arguments.kinds else None

    def run(kinds, *more):
        command = [sys.executable, str(bench / "bench.py"), "--kinds", ",".join(kinds), *more]
        return rows(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    kinds_of = lambda kinds: [kind for kind in kinds.split(",") if wanted is None or kind in wanted]
    if arguments.fresh_anchor:
        anchor = run(sorted({kind for _, _, kinds, _ in RUNS for kind in kinds_of(kinds)}))
    else:
        anchor = rows((bench / "anchor-opencv.txt").read_text())
    binary = pathlib.Path(arguments.binary).resolve()
    print(f"{'kind':9} {'ours':22} {'dPSNR':>7} {'worst':>7} {'dSSIM':>7}   {'anchor':26} {'dPSNR':>7} {'worst':>7}   better")
    behind = 0
    for name, flags, kinds, accept in RUNS:
        kinds = kinds_of(kinds)
        if not kinds:
            continue
        for kind, _, _, _, gain, worst, ssim in run(kinds, "--cmd", f"{binary} restore {{in}} -o {{out}} {flags}"):
            theirs = best_anchor(anchor, kind, name, accept)
            line = f"{kind:9} {name:22} {gain:>7} {worst:>7} {ssim:>7}   "
            if theirs is None:
                print(line + "-")
                continue
            better = float(gain) >= float(theirs[4])
            behind += not better
            print(line + f"{theirs[1]:26} {theirs[4]:>7} {theirs[5]:>7}   {'yes' if better else 'NO'}", flush=True)
    sys.exit(1 if behind else 0)


if __name__ == "__main__":
    main()
