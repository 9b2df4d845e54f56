#!/usr/bin/env python3
"""Makes the weights of the classifier of scratches and dust: assets/engine/damage.bin.

    pip install numpy opencv-python-headless scikit-image
    cargo build --release --example damage_candidates
    scripts/training/damage.py target/release/examples/damage_candidates [-o assets/engine/damage.bin]

Pictures: rendered scenes (pictures.py), and pieces of those photographs of the scikit-image package that the
restoration bench does not score (brick, grass, gravel, coins, clock, moon, page, text), each as it is and damaged by
this script: scratches, hairs, dust and cracks of many tones and strengths, then grain, blur or JPEG compression. The
program names the candidates and describes them; a candidate is damage if more than half of it was drawn. A network
with one hidden layer learns to tell them apart. Every fifth picture is held out; the scores printed are those.

The file: f32, little endian: the mean of each feature, one over its spread, the hidden weights unit by unit, the hidden
biases, the output weights, the output bias.
"""

import argparse
import multiprocessing
import pathlib
import subprocess
import tempfile

import cv2
import numpy as np

import pictures

FEATURES, HIDDEN = 20, 24


def tone(rng):
    """The colour of bare paper or emulsion, or of dirt."""
    light = rng.random() < 0.7
    base = rng.uniform(195, 255) if light else rng.uniform(0, 55)
    return np.clip(base + rng.normal(0, 6, 3), 0, 255)


def walk(rng, start, angle, steps, stride, turn):
    points, point = [start], np.array(start, float)
    for _ in range(steps):
        angle += rng.normal(0, turn)
        point = point + stride * np.array([np.cos(angle), np.sin(angle)])
        points.append(point)
    return np.int32(np.array(points) * 16)


def damage(rng, picture):
    """A damaged copy of a picture and where it is damaged."""
    height, width = picture.shape[:2]
    out, truth = picture.astype(np.float32), np.zeros((height, width), np.float32)

    def lay(draw, strength):
        nonlocal out
        share = np.zeros((height, width), np.uint8)
        draw(share)
        share = share[..., None].astype(np.float32) / 255 * strength
        out = out * (1 - share) + tone(rng) * share
        np.maximum(truth, share[..., 0], out=truth)

    place = lambda: rng.uniform(0, (width, height))
    much = rng.uniform(0.2, 1.5)
    upright = rng.random() < 0.5
    for _ in range(rng.poisson(5 * much)):
        angle = (np.pi / 2 if upright else 0) + rng.normal(0, 0.08) if rng.random() < 0.6 else rng.uniform(0, np.pi)
        length = rng.uniform(0.15, 1.1) * max(width, height)
        middle = place() - 0.5 * length * np.array([np.cos(angle), np.sin(angle)])
        line = walk(rng, middle, angle, 30, length / 30, rng.choice([0.005, 0.03]))
        thick = int(rng.choice([1, 1, 2, 2, 3]))
        lay(lambda m: cv2.polylines(m, [line], False, 255, thick, cv2.LINE_AA, 4), rng.uniform(0.35, 1))
    for _ in range(rng.poisson(4 * much)):
        line = walk(rng, place(), rng.uniform(0, 7), int(rng.integers(6, 24)), 4, 0.35)
        lay(lambda m: cv2.polylines(m, [line], False, 255, 1, cv2.LINE_AA, 4), rng.uniform(0.5, 1))
    for _ in range(rng.poisson(2 * much)):
        line = walk(rng, place(), rng.uniform(0, 7), int(rng.integers(15, 70)), rng.uniform(3, 9), 0.4)
        branch = walk(rng, line[len(line) // 2] / 16, rng.uniform(0, 7), int(rng.integers(5, 30)), 5, 0.4)
        thick = int(rng.integers(1, 4))
        lay(lambda m: cv2.polylines(m, [line, branch], False, 255, thick, cv2.LINE_AA, 4), rng.uniform(0.6, 1))
    for _ in range(rng.poisson(40 * much)):
        centre, radius = place(), np.exp(rng.uniform(np.log(0.7), np.log(5)))
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        blob = np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(0.5, 1.2, (9, 1)) * radius + centre
        lay(lambda m: cv2.fillPoly(m, [np.int32(blob * 16)], 255, cv2.LINE_AA, 4), rng.uniform(0.5, 1))
    return out, truth


def wear(rng, picture):
    """What happens between a print and its file."""
    kind = rng.integers(0, 4)
    if kind == 1:
        noise = cv2.GaussianBlur(rng.normal(size=picture.shape[:2]).astype(np.float32), (0, 0), rng.uniform(0.4, 0.9))
        picture = picture + (noise / noise.std() * rng.uniform(2, 9))[..., None]
    if kind == 2:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 0.9))
    picture = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
    return picture


def photographs():
    """Pieces of photographs that nobody scores."""
    for path in pictures.photographs():
        picture = cv2.imread(path)
        height, width = picture.shape[:2]
        for y, x in {(0, 0), (max(0, height - 384), max(0, width - 384))}:
            yield picture[y:y + 384, x:x + 384]


def prepare(task):
    """Writes one picture as it is and twice damaged; returns the lines for the program that describes them."""
    folder, index, source = task
    source = pictures.scene(10_000 + index)[..., ::-1] if source is None else source
    rng = np.random.default_rng([4, index])
    lines = []
    for version in range(3):
        path, truth_path = folder / f"{index}-{version}.png", folder / f"{index}-{version}-truth.png"
        damaged, truth = damage(rng, source) if version else (source.astype(np.float32), None)
        cv2.imwrite(str(path), wear(rng, damaged))
        if truth is not None:
            cv2.imwrite(str(truth_path), np.uint8(truth > 0.12) * 255)
        lines.append(f"{path} {truth_path if truth is not None else '-'}")
    return lines


def describe(program, folder, scenes, processes):
    """Candidates of all pictures: number of the picture, share of damage, pixels, features."""
    sources = [None] * scenes + list(photographs())
    with multiprocessing.Pool(processes) as pool:
        tasks = [(folder, index, source) for index, source in enumerate(sources)]
        lines = [line for some in pool.map(prepare, tasks, chunksize=1) for line in some]
    told = subprocess.run([program], input="\n".join(lines), check=True, capture_output=True, text=True).stdout
    rows = np.array([[float(value) for value in line.split()] for line in told.splitlines()], np.float32)
    rows[:, 0] = rows[:, 0] // 3
    return rows


def learn(x, y, weight, rounds=8000):
    """Adam on the weighted cross entropy of mini-batches."""
    rng = np.random.default_rng(4)
    parts = [rng.normal(0, 0.3, (FEATURES, HIDDEN)), np.zeros(HIDDEN), rng.normal(0, 0.3, HIDDEN), np.zeros(1)]
    first, second = [np.zeros_like(p) for p in parts], [np.zeros_like(p) for p in parts]
    for step in range(1, rounds + 1):
        chosen = rng.integers(0, len(x), 512)
        a, b, c, d = parts
        inside = x[chosen] @ a + b
        active = np.maximum(inside, 0)
        probability = 1 / (1 + np.exp(-(active @ c + d)))
        error = (probability - y[chosen]) * weight[chosen] / weight[chosen].sum()
        back = np.outer(error, c) * (inside > 0)
        slopes = [x[chosen].T @ back + 1e-4 * a, back.sum(0), active.T @ error + 1e-4 * c, error.sum(keepdims=True)]
        rate = 0.01 * min(1.0, 2 * (1 - step / (rounds + 1)))
        for index, slope in enumerate(slopes):
            first[index] = 0.9 * first[index] + 0.1 * slope
            second[index] = 0.999 * second[index] + 0.001 * slope**2
            gain = first[index] / (1 - 0.9**step) / (np.sqrt(second[index] / (1 - 0.999**step)) + 1e-8)
            parts[index] = parts[index] - rate * gain
    return parts


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("program", help="the built example damage_candidates")
    arguments.add_argument("-o", "--output", default="assets/engine/damage.bin")
    arguments.add_argument("--scenes", type=int, default=24)
    arguments.add_argument("--processes", type=int, default=2)
    arguments.add_argument("--keep", help="file to keep the candidates in, and to take them from if it exists (.npy)")
    arguments = arguments.parse_args()
    if arguments.keep and pathlib.Path(arguments.keep).exists():
        rows = np.load(arguments.keep)
    else:
        with tempfile.TemporaryDirectory() as folder:
            rows = describe(arguments.program, pathlib.Path(folder), arguments.scenes, arguments.processes)
        if arguments.keep:
            np.save(arguments.keep, rows)
    picture, share, pixels, features = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3:]
    centre, scale = features.mean(0), 1 / (features.std(0) + 1e-3)
    x, y = np.clip((features - centre) * scale, -4, 4), (share > 0.5).astype(float)
    # Large pieces count more, and a picture full of gravel no more than another.
    weight = np.clip(pixels / 10, 1, 20)
    for index in np.unique(picture):
        harmless = (picture == index) & (y == 0)
        weight[harmless] *= min(1.0, 1500 / weight[harmless].sum())
    held_out = picture % 5 == 4
    a, b, c, d = learn(x[~held_out], y[~held_out], weight[~held_out])
    sure = 1 / (1 + np.exp(-(np.maximum(x @ a + b, 0) @ c + d)))
    print(f"{len(y)} candidates, {int(y.sum())} of damage, {int(held_out.sum())} held out")
    for threshold in (0.5, 0.6, 0.8, 0.9, 0.95):
        taken, true = held_out & (sure > threshold), held_out & (y > 0)
        right = (pixels * (taken & true)).sum()
        print(f"above {threshold:.2f}: {right / pixels[taken].sum():.1%} of the pixels taken are damage, "
              f"{right / pixels[true].sum():.1%} of the damage is taken")
    numbers = np.concatenate([centre, scale, a.T.ravel(), b, c, d]).astype("<f4")
    pathlib.Path(arguments.output).write_bytes(numbers.tobytes())


if __name__ == "__main__":
    main()
