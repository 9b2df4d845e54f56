#!/usr/bin/env python3
"""Makes the weights of the step `upscale`: assets/engine/upscale-x2.bin.

    pip install numpy opencv-python-headless scikit-image
    scripts/training/upscale.py [--scenes 24] [--score ../pictures/*.png] [-o assets/engine/upscale-x2.bin]

What is learned: 144 linear filters of 7 x 7 (after Romano, Isidoro and Milanfar, "RAISR", 2016) for each of the four
pixels that a pixel becomes, picked by direction, strength and coherence of the structure around the pixel. Unlike
there they work on the small picture directly, which needs a quarter of the look-ups and no interpolation first.
Learned from rendered scenes and from photographs that nobody scores (pictures.py), turned and mirrored, brought down by averaging: least
squares per filter, drawn towards the filter of all samples where there are few.

The file: 144 x 4 x 49 weights as signed 16-bit numbers, little endian, 8192 for 1, in the order filter, pixel (0 0, 0 1, 1 0, 1 1), row, column. The
tap in the middle is not used: filters work on differences to the middle pixel, so that flat places stay flat.
The pictures named by --score are only measured, never learned from.
"""

import argparse
import multiprocessing
import pathlib

import cv2
import numpy as np

import pictures

TAPS = 7
ANGLES, STRENGTHS, COHERENCES = 16, (2.0, 8.0), (0.25, 0.5)
FILTERS = ANGLES * 3 * 3
UNIT = 8192


def classes(small):
    """Which filter each pixel takes."""
    padded = np.pad(small, 1, mode="reflect")
    across, down = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    kernel = np.float32([1, 4, 6, 4, 1]) / 16
    spread = lambda plane: cv2.sepFilter2D(plane, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
    a, b, c = spread(across * across), spread(across * down), spread(down * down)
    mean, half = (a + c) / 2, np.hypot((a - c) / 2, b)
    first, second = np.sqrt(mean + half), np.sqrt(np.maximum(mean - half, 0))
    angle = np.mod(np.arctan2(2 * b, a - c) / (2 * np.pi), 1)
    coherence = (first - second) / (first + second + 1e-3)
    index = np.minimum((angle * ANGLES).astype(int), ANGLES - 1)
    strength = np.searchsorted(STRENGTHS, first.ravel()).reshape(first.shape)
    coherence = np.searchsorted(COHERENCES, coherence.ravel()).reshape(first.shape)
    return (index * 3 + strength) * 3 + coherence


def patches(small):
    """What the filters see of each pixel, as differences to it."""
    padded = np.pad(small, TAPS // 2, mode="reflect")
    seen = np.lib.stride_tricks.sliding_window_view(padded, (TAPS, TAPS)).reshape(-1, TAPS * TAPS)
    return seen - small.reshape(-1, 1)


def sums(source):
    """The normal equations of one scene or photograph: products of what is seen, and with what is wanted."""
    cv2.setNumThreads(1)
    taps = TAPS * TAPS
    products, targets = np.zeros((FILTERS, taps, taps)), np.zeros((FILTERS, taps, 4))
    if isinstance(source, int):
        picture = cv2.cvtColor(pictures.scene(source), cv2.COLOR_RGB2GRAY)
        # Four of the eight ways to turn and mirror it, the other four for the next scene.
        turns = range(source % 2, 8, 2)
    else:
        picture, turns = cv2.imread(source, cv2.IMREAD_GRAYSCALE)[:512, :512], range(8)
    picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2].astype(np.float32)
    for turn in turns:
        large = np.rot90(picture, turn % 4)
        large = np.ascontiguousarray(large[:, ::-1] if turn > 3 else large)
        small = cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        small = np.floor(small + 0.5)
        seen, picked = patches(small), classes(small).ravel()
        wanted = np.stack([large[y::2, x::2].ravel() - small.ravel() for y in (0, 1) for x in (0, 1)], 1)
        order = np.argsort(picked, kind="stable")
        bounds = np.searchsorted(picked[order], np.arange(FILTERS + 1))
        for index in range(FILTERS):
            chosen = order[bounds[index]:bounds[index + 1]]
            if len(chosen):
                x = seen[chosen].astype(np.float32)
                products[index] += x.T @ x
                targets[index] += x.T @ wanted[chosen].astype(np.float32)
    return products, targets


def learn(scenes, processes):
    """The filters as FILTERS x 4 x TAPS^2."""
    taps = TAPS * TAPS
    products, targets = np.zeros((FILTERS, taps, taps)), np.zeros((FILTERS, taps, 4))
    with multiprocessing.Pool(processes) as pool:
        for one, other in pool.imap(sums, list(range(scenes)) + pictures.photographs()):
            products += one
            targets += other
    centre = taps // 2
    keep = np.arange(taps) != centre
    solve = lambda p, t: np.linalg.solve(p[np.ix_(keep, keep)], t[keep])
    scale = np.trace(products.sum(0)) / taps
    everywhere = np.zeros((taps, 4))
    everywhere[keep] = solve(products.sum(0) + 1e-6 * scale * np.eye(taps), targets.sum(0))
    filters = np.zeros((FILTERS, 4, taps), np.float32)
    for index in range(FILTERS):
        pull = (0.002 * np.trace(products[index]) / taps + 2e4) * np.eye(taps)
        found = np.zeros((taps, 4))
        found[keep] = solve(products[index] + pull, targets[index] + pull @ everywhere)
        filters[index] = found.T
    return filters


def enlarge(small, filters, projections=1):
    """The brightness at twice the size."""
    height, width = small.shape
    seen, picked = patches(small), classes(small).ravel()
    out = np.zeros((2 * height, 2 * width), np.float32)
    for phase in range(4):
        added = np.einsum("ij,ij->i", seen, filters[picked, phase])
        out[phase // 2::2, phase % 2::2] = small + added.reshape(height, width)
    for _ in range(projections):
        missing = small - cv2.resize(out, (width, height), interpolation=cv2.INTER_AREA)
        out += cv2.resize(missing, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return out


def score(paths, filters):
    """Gain over cubic interpolation in dB of the brightness, for each picture."""
    psnr = lambda a, b: 10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2))
    gains = []
    for path in paths:
        large = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        large = large[: large.shape[0] // 2 * 2, : large.shape[1] // 2 * 2].astype(np.float32)
        small = np.floor(cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) + 0.5)
        cubic = cv2.resize(small, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        ours = np.clip(enlarge(small, filters), 0, 255)
        gains.append(psnr(large, ours.round()) - psnr(large, np.clip(cubic, 0, 255).round()))
        print(f"{pathlib.Path(path).stem:24} {gains[-1]:+.2f} dB over cubic", flush=True)
    print(f"{'mean':24} {np.mean(gains):+.2f}, worst {np.min(gains):+.2f}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("-o", "--output", default="assets/engine/upscale-x2.bin")
    arguments.add_argument("--scenes", type=int, default=24)
    arguments.add_argument("--processes", type=int, default=2)
    arguments.add_argument("--score", nargs="*", default=[])
    arguments = arguments.parse_args()
    filters = np.round(learn(arguments.scenes, arguments.processes) * UNIT).clip(-32768, 32767).astype("<i2")
    pathlib.Path(arguments.output).write_bytes(filters.tobytes())
    if arguments.score:
        score(arguments.score, filters.astype(np.float32) / UNIT)


if __name__ == "__main__":
    main()
