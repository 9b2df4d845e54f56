"""Damage done to photographs on purpose, the same every time: pictures are H x W x 3 arrays of bytes in the order blue,
green, red.

Kinds and strengths are those that the figures in docs/engine.md are about. Whoever has another generator with the same
kinds can hand it to run.py.
"""

import cv2
import numpy as np


def to_bytes(values):
    """From 0..1 to bytes."""
    return np.uint8(np.clip(values, 0, 1) * 255 + 0.5)


def between(picture, blacks, whites, gamma=(1.0, 1.0, 1.0)):
    """Squeezes each colour between a black and a white of its own."""
    blacks, whites, gamma = (np.float32(values) for values in (blacks, whites, gamma))
    return to_bytes(blacks + (whites - blacks) * (picture.astype(np.float32) / 255) ** gamma)


def fade(picture, seed=0):
    """A print that has lain in the light: blacks lifted, whites lowered, blue most."""
    return between(picture, (0.10, 0.16, 0.24), (0.62, 0.80, 0.92), (1.10, 1.0, 0.92))


def redfade(picture, seed=0):
    """A print of the seventies whose cyan dye has gone."""
    return between(picture, (0.14, 0.10, 0.34), (0.72, 0.66, 0.96))


def noise(sigma):
    def add(picture, seed=0):
        shaken = picture + np.random.default_rng(seed).normal(0, sigma, picture.shape)
        return np.uint8(np.clip(shaken, 0, 255))
    return add


def grain(sigma):
    def add(picture, seed=0):
        """Film grain: clumps of less than a pixel, strongest in the middle tones, with a little colour."""
        rng = np.random.default_rng(seed)
        clumps = lambda shape, width: cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), width)
        grey, colour = clumps(picture.shape[:2], 0.8), clumps(picture.shape, 1.2)
        light = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255
        weight = 0.5 + 2 * light * (1 - light)
        shaken = picture + sigma * (grey / grey.std() * weight)[..., None] + 0.35 * sigma * colour / colour.std()
        return np.uint8(np.clip(shaken, 0, 255))
    return add


def blur(width):
    return lambda picture, seed=0: cv2.GaussianBlur(picture, (0, 0), width)


def jpeg(quality):
    def squeeze(picture, seed=0):
        coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return squeeze


def scratches(shape, seed):
    """How much of each pixel is covered, and whether by light or by dark: scratches, cracks and dust."""
    rng = np.random.default_rng(seed + 1000)
    height, width = shape[:2]
    cover, light = np.zeros((height, width), np.float32), np.ones((height, width), bool)

    def lay(draw, strength, is_light):
        stroke = np.zeros((height, width), np.uint8)
        draw(stroke)
        stroke = stroke.astype(np.float32) / 255 * strength
        light[stroke > cover] = is_light
        np.maximum(cover, stroke, out=cover)

    def line(points, thick, strength, is_light):
        lay(lambda m: cv2.polylines(m, [np.int32(points)], False, 255, thick, cv2.LINE_AA), strength, is_light)

    for _ in range(8):
        middle = rng.uniform(0, (width, height))
        length = rng.uniform(0.3, 1) * max(width, height)
        angle = rng.choice([np.pi / 2, 0, rng.uniform(0, np.pi)]) + rng.normal(0, 0.06)
        along, aside = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        wander = np.cumsum(rng.normal(0, 0.5, 30))
        points = middle + np.outer(np.linspace(-0.5, 0.5, 30) * length, along) + np.outer(wander, aside)
        line(points, int(rng.integers(1, 3)), rng.uniform(0.55, 1), rng.random() < 0.8)
    for _ in range(3):
        points, angle = [rng.uniform(0, (width, height))], rng.uniform(0, 2 * np.pi)
        for _ in range(rng.integers(20, 60)):
            angle += rng.normal(0, 0.35)
            points.append(points[-1] + rng.uniform(4, 10) * np.array([np.cos(angle), np.sin(angle)]))
        line(points, int(rng.integers(1, 4)), rng.uniform(0.7, 1), True)
    for _ in range(60):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes, turn = (int(rng.integers(1, 4)), int(rng.integers(1, 3))), rng.uniform(0, 180)
        lay(lambda m: cv2.ellipse(m, centre, axes, turn, 0, 360, 255, -1, cv2.LINE_AA), rng.uniform(0.6, 1),
            rng.random() < 0.7)
    return cover, light


def scratch(picture, seed=0):
    cover, light = scratches(picture.shape, seed)
    tone = np.where(light[..., None], np.float32([232, 240, 244]), np.float32([18, 22, 26]))
    return np.uint8(np.clip(picture * (1 - cover[..., None]) + tone * cover[..., None], 0, 255))


def marked(shape, seed):
    """What a careful person would mark of the damage that `scratch` does."""
    return cv2.dilate(np.uint8(scratches(shape, seed)[0] > 0.02) * 255, np.ones((3, 3), np.uint8))


def halftone(picture, seed=0):
    """Printed with dots five pixels apart, each ink at its own angle, and scanned."""
    y, x = np.mgrid[0:picture.shape[0], 0:picture.shape[1]].astype(np.float32)
    out = np.zeros(picture.shape, np.float32)
    for ink, degrees in enumerate((0, 75, 45)):
        cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        wave = 2 * np.pi / 5
        threshold = 0.5 + 0.25 * (np.cos((x * cosine + y * sine) * wave) + np.cos((y * cosine - x * sine) * wave))
        value = picture[..., ink].astype(np.float32) / 255
        out[..., ink] = 1 / (1 + np.exp(-12 * (value - 0.96 * threshold - 0.02)))
    return to_bytes(cv2.GaussianBlur(out, (0, 0), 0.7))


def down2(picture, seed=0):
    return cv2.resize(picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA)


def aged(picture, seed=0):
    """All that happens to a print in a drawer and on a scanner."""
    worn = grain(8)(blur(0.7)(fade(picture)), seed)
    return jpeg(70)(scratch(worn, seed))


KINDS = {
    "fade": fade, "redfade": redfade, "noise10": noise(10), "noise25": noise(25), "grain": grain(12),
    "blur": blur(1.2), "jpeg25": jpeg(25), "scratch": scratch, "halftone": halftone, "down2": down2, "aged": aged,
    "clean": lambda picture, seed=0: picture,
}
