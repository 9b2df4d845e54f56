#!/usr/bin/env python3
"""Makes Safelight's sample pictures: renders scenes with scene.c, then exposes, ages and encodes them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy pillow
    /tmp/venv/bin/python assets/sample/make.py [--renders DIR] [--only NAME] [--preview]

The pictures are checked in, so nobody needs to run this; it takes some twenty minutes on two cores. Everything is
seeded: the same compiler and libraries give the same bytes. --renders keeps the renderings, so that work on the
ageing does not wait for the light; --preview renders coarsely into that folder instead of replacing the pictures.

No photograph, scan or texture of anybody went into them. They are dedicated to the public domain (CC0 1.0).
"""
import argparse
import io
import pathlib
import subprocess
import tempfile

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HERE = pathlib.Path(__file__).parent
NOTE = "Rendered by Safelight's own script; not a photograph"


# ---- light to picture ----

def render(tool, folder, name, width, height, samples):
    path = folder / f"{name}-{width}x{height}-{samples}.f32"
    if not path.exists():
        part = path.with_suffix(".part")
        subprocess.run([tool, name, str(width), str(height), str(samples), part], check=True)
        part.rename(path)
    return np.fromfile(path, "<f4").reshape(height, width, 3)


def develop(light, exposure=1.0, contrast=1.0):
    """A film-like shoulder and toe, then the sRGB-like curve: 0..1."""
    x = np.nan_to_num(light) * exposure
    x = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1) ** (1 / 2.2)
    return np.clip(0.5 + (x - 0.5) * contrast, 0, 1)


# ---- what time and hands do to a print ----

def blur(image, radius):
    """Gaussian blur of a float picture of one or three channels."""
    reach = max(1, int(radius * 3 + 0.5))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        pad = [(0, 0)] * image.ndim
        pad[axis] = (reach, reach)
        padded = np.pad(image, pad, mode="reflect")
        image = sum(k * np.take(padded, range(i, i + image.shape[axis]), axis=axis) for i, k in enumerate(kernel))
    return image


def clouds(rng, height, width, cell, octaves=4):
    """Smooth noise around 0, about -1..1, its largest blobs `cell` pixels wide."""
    total = np.zeros((height, width))
    for octave in range(octaves):
        step = max(2.0, cell / 2**octave)
        small = rng.standard_normal((int(height / step) + 3, int(width / step) + 3)).astype(np.float32)
        big = Image.fromarray(small, "F").resize((int(small.shape[1] * step) + 1, int(small.shape[0] * step) + 1), Image.BICUBIC)
        total += np.asarray(big)[:height, :width] * 0.5**octave
    return total / 2.2


def grain(rng, image, strength, size, colour):
    """Film grain: correlated over `size` pixels, strongest in the mid-tones; `colour` is how far the dyes differ."""
    height, width = image.shape[:2]
    layers = [blur(rng.standard_normal((height, width)), size) for _ in range(4)]
    layers = [layer / layer.std() for layer in layers]
    luma = image.mean(axis=2)
    weight = strength * (0.35 + 2.6 * luma * (1 - luma))
    return np.stack([image[..., c] + weight * (layers[3] * (1 - colour) + layers[c] * colour) for c in range(3)], axis=2)


def fade(image, low, high, gamma=(1, 1, 1)):
    """Dyes that lost their density: every channel ends up between its own `low` and `high` (of 255)."""
    return np.stack([(low[c] + (high[c] - low[c]) * np.clip(image[..., c], 0, 1) ** gamma[c]) / 255 for c in range(3)], axis=2)


def strokes(size, draw_all, soften):
    """A mask 0..1 drawn at twice the size and made smooth."""
    mask = Image.new("L", (size[0] * 2, size[1] * 2))
    draw_all(ImageDraw.Draw(mask))
    mask = mask.resize(size, Image.BOX).filter(ImageFilter.GaussianBlur(soften))
    return np.asarray(mask, dtype=np.float64)[..., None] / 255


def over(image, mask, colour):
    return image * (1 - mask) + np.asarray(colour) / 255 * mask


def scratches(rng, image, count, colour, long=0.9):
    height, width = image.shape[:2]

    def one(draw):
        x, y = rng.uniform(0, width), rng.uniform(-0.1, 0.7) * height
        angle = rng.normal(np.pi / 2, 0.12 if rng.random() < 0.7 else 0.8)
        length, bend = rng.uniform(0.06, long) * height, rng.normal(0, 0.0007)
        points, travelled = [], 0.0
        while travelled < length:
            points.append((x * 2, y * 2))
            x, y = x + np.cos(angle) * 8, y + np.sin(angle) * 8
            angle += bend + rng.normal(0, 0.004)
            travelled += 8
        for start in range(0, len(points) - 2, 6):
            if rng.random() < 0.86:
                draw.line(points[start:start + 7], fill=int(rng.uniform(110, 255)), width=1 + int(rng.random() < 0.35))

    return over(image, strokes((width, height), lambda draw: [one(draw) for _ in range(count)], 0.35), colour)


def dust(rng, image, specks, hairs, light, dark):
    height, width = image.shape[:2]

    def speck(draw):
        x, y = rng.uniform(0, width) * 2, rng.uniform(0, height) * 2
        radius = min(11.0, 1.1 + rng.pareto(2.4))
        points = [(x + radius * rng.uniform(0.6, 1.3) * np.cos(a), y + radius * rng.uniform(0.6, 1.3) * np.sin(a)) for a in np.linspace(0, 6.28, 9)]
        draw.polygon(points, fill=int(rng.uniform(140, 255)))

    def hair(draw):
        x, y, angle, turn = rng.uniform(0, width) * 2, rng.uniform(0, height) * 2, rng.uniform(0, 6.28), rng.normal(0, 0.05)
        points = []
        for _ in range(int(rng.uniform(12, 42))):
            points.append((x, y))
            x, y, angle = x + 4 * np.cos(angle), y + 4 * np.sin(angle), angle + turn + rng.normal(0, 0.07)
        draw.line(points, fill=210, width=2)

    size = (width, height)
    image = over(image, strokes(size, lambda draw: [speck(draw) for _ in range(specks)], 0.3), light)
    image = over(image, strokes(size, lambda draw: [speck(draw) for _ in range(specks // 3)], 0.3), dark)
    return over(image, strokes(size, lambda draw: [hair(draw) for _ in range(hairs)], 0.3), light)


def crease(rng, image, start, end, colour):
    """A fold: the emulsion cracked along a line, one side of it in a slight shade."""
    height, width = image.shape[:2]
    (x0, y0), (x1, y1) = (start[0] * width, start[1] * height), (end[0] * width, end[1] * height)
    length = float(np.hypot(x1 - x0, y1 - y0))
    nx, ny = -(y1 - y0) / length, (x1 - x0) / length
    steps = int(length / 3)
    wander = np.cumsum(rng.normal(0, 0.5, steps + 1))
    wander -= np.linspace(0, wander[-1], steps + 1)
    points = [((x0 + (x1 - x0) * t + nx * w) * 2, (y0 + (y1 - y0) * t + ny * w) * 2) for t, w in zip(np.linspace(0, 1, steps + 1), wander)]

    def draw_all(draw):
        for i in range(steps):
            if rng.random() < 0.90:
                draw.line(points[i:i + 2], fill=int(rng.uniform(150, 255)), width=int(rng.choice([1, 2, 3, 4], p=[0.3, 0.35, 0.22, 0.13])))
            if rng.random() < 0.10:
                x, y = points[i]
                side = rng.normal(0, 9)
                draw.line([(x, y), (x + nx * side + rng.normal(0, 4), y + ny * side + rng.normal(0, 4))], fill=210, width=1)
            if rng.random() < 0.02:
                x, y = points[i]
                radius = rng.uniform(2, 6)
                draw.polygon([(x + radius * rng.uniform(0.5, 1.3) * np.cos(a), y + radius * rng.uniform(0.5, 1.3) * np.sin(a)) for a in np.linspace(0, 6.28, 8)], fill=255)

    ys, xs = np.mgrid[0:height, 0:width]
    across = (xs - x0) * nx + (ys - y0) * ny
    shade = 0.035 * np.exp(-np.abs(across) / 16) * np.sign(across) - 0.02 * np.exp(-np.abs(across + 3) / 4)
    image = image + shade[..., None]
    return over(image, strokes((width, height), draw_all, 0.4), colour)


def vignette(image, amount):
    height, width = image.shape[:2]
    ys, xs = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
    return image * (1 - amount * np.clip(xs**2 + ys**2 * 0.8, 0, 2)[..., None] ** 1.4 / 2)


def stain(rng, image, amount, tint):
    """Uneven fading: old glue and damp from the back of the album."""
    height, width = image.shape[:2]
    cloud = np.clip(clouds(rng, height, width, width / 2.2) + 0.15, 0, 1)[..., None]
    return image * (1 - amount * cloud * (1 - np.asarray(tint)))


def mount(rng, image, border, paper):
    """Puts the picture on its paper: a white border, yellowed, a little dirty at the rim, the corners worn."""
    height, width = image.shape[:2]
    h, w = height + 2 * border, width + 2 * border
    sheet = np.ones((h, w, 3)) * np.asarray(paper) / 255
    sheet += (clouds(rng, h, w, 160) * 0.012 + rng.normal(0, 0.006, (h, w)))[..., None] * np.array([0.7, 1, 1.4])
    ys, xs = np.mgrid[0:h, 0:w]
    rim = np.minimum(np.minimum(xs, w - 1 - xs), np.minimum(ys, h - 1 - ys))
    sheet *= 1 - 0.10 * np.exp(-rim / 5)[..., None] * np.array([0.7, 1, 1.5])
    edge = border + np.array([rng.normal(0, 0.7) for _ in range(4)])
    tilt = 0.0012
    inside = (np.clip(xs - edge[0] - tilt * ys + 0.5, 0, 1) * np.clip(w - edge[1] - xs - tilt * (h - ys) + 0.5, 0, 1)
              * np.clip(ys - edge[2] + tilt * (xs - w) + 0.5, 0, 1) * np.clip(h - edge[3] - ys - tilt * xs + 0.5, 0, 1))[..., None]
    padded = np.pad(image, ((border, border), (border, border), (0, 0)), mode="edge")
    return padded * inside + sheet * (1 - inside)


# ---- the pictures ----

def boathouse(light):
    rng = np.random.default_rng(1974)
    image = develop(light, 1.12, 1.10)
    image = vignette(blur(image, 0.75), 0.16)
    image = grain(rng, image, 0.056, 0.75, 0.35)
    image = fade(image, (70, 46, 62), (232, 203, 190), (0.94, 1.02, 1.0))
    image = stain(rng, image, 0.16, (0.98, 0.93, 0.80))
    paper = (226, 204, 184)
    image = scratches(rng, image, 13, paper)
    image = scratches(rng, image, 4, (72, 48, 58), 0.4)
    image = dust(rng, image, 150, 9, paper, (80, 56, 60))
    image = crease(rng, image, (0.735, -0.01), (1.01, 0.345), paper)
    return mount(rng, image, 20, (236, 226, 203))


def market_street(light):
    rng = np.random.default_rng(1931)
    image = develop(light, 1.05, 1.12)
    grey = (image * [0.12, 0.46, 0.42]).sum(axis=2, keepdims=True).repeat(3, axis=2)
    image = vignette(blur(grey, 0.8), 0.32)
    image = grain(rng, image, 0.040, 0.8, 0.0)
    image = fade(image, (66, 50, 36), (226, 204, 164))
    image = stain(rng, image, 0.16, (0.95, 0.88, 0.74))
    image = scratches(rng, image, 8, (222, 200, 162))
    image = dust(rng, image, 90, 5, (222, 200, 162), (72, 56, 42))
    return mount(rng, crease(rng, image, (-0.01, 0.80), (0.20, 1.01), (222, 200, 162)), 13, (228, 212, 178))


def autumn_walk(light):
    rng = np.random.default_rng(1978)
    image = vignette(blur(develop(light, 1.15, 1.08), 0.6), 0.14)
    image = grain(rng, image, 0.05, 0.7, 0.3)
    image = fade(image, (88, 40, 46), (238, 192, 170), (0.88, 1.05, 1.05))
    return dust(rng, image, 60, 5, (228, 188, 166), (92, 48, 50))


def lighthouse(light):
    rng = np.random.default_rng(2019)
    # The nearest waves look modelled; a photographer would have held the camera higher.
    light = light[:900]
    return develop(light, 0.98, 1.06) + rng.normal(0, 0.004, light.shape)


def apples(light):
    rng = np.random.default_rng(2004)
    return develop(light, 1.35, 1.06) + rng.normal(0, 0.006, light.shape)


def cabin(light):
    rng = np.random.default_rng(1996)
    image = blur(develop(light, 2.5, 1.05), 0.5)
    height, width = image.shape[:2]
    noise = rng.normal(0, 0.055, (height, width, 1)) + blur(rng.normal(0, 0.085, (height, width, 3)), 0.8)
    return image + noise * (1.1 - 0.6 * image)


# name, scene, width, height, samples, look, file, EXIF time, kilobytes, highest quality, stored turned
PICTURES = [
    ("boathouse", "lake", 1560, 1140, 56, boathouse, "boathouse-1974.jpg", "1974:08:11 16:20:00", 690, 91, False),
    ("street", "street", 1000, 750, 40, market_street, "demo/market-street-1931.jpg", "1931:06:14 10:05:00", 148, 86, False),
    ("lighthouse", "lighthouse", 780, 1040, 40, lighthouse, "demo/lighthouse-2019.jpg", "2019:07:03 09:41:00", 148, 92, True),
    ("autumn", "autumn", 660, 880, 16, autumn_walk, "demo/autumn-walk-1978.jpg", "1978:10:22 14:30:00", 148, 86, False),
    ("apples", "still", 660, 880, 32, apples, "demo/apples-2004.jpg", "2004:09:18 11:12:00", 148, 24, False),
    ("cabin", "cabin", 880, 660, 20, cabin, "demo/cabin-1996.jpg", "1996:01:05 17:15:00", 148, 84, False),
]


def encode(image, taken, kilobytes, quality, turned):
    """The best JPEG that fits; a turned picture says so in its EXIF orientation, as a camera held upright does."""
    picture = Image.fromarray((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8))
    exif = Image.Exif()
    exif[0x010E], exif[0x0131], exif[0x0132], exif[0x8298] = NOTE, "Safelight assets/sample/make.py", taken, "CC0 1.0"
    exif.get_ifd(0x8769)[0x9003] = taken
    if turned:
        picture = picture.transpose(Image.ROTATE_90)
        exif[0x0112] = 6
    while True:
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, subsampling="4:2:0", optimize=True, exif=exif)
        if out.tell() <= kilobytes * 1000:
            return out.getvalue()
        quality -= 1


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--renders", type=pathlib.Path)
    options.add_argument("--only")
    options.add_argument("--preview", action="store_true")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tool = pathlib.Path(scratch) / "scene"
        subprocess.run(["cc", "-O2", "-std=gnu11", "-o", tool, HERE / "scene.c", "-lm", "-lpthread"], check=True)
        renders = chosen.renders or pathlib.Path(scratch)
        renders.mkdir(parents=True, exist_ok=True)
        for name, scene, width, height, samples, look, file, taken, kilobytes, quality, turned in PICTURES:
            if chosen.only not in (None, name):
                continue
            if chosen.preview:
                width, height, samples = width // 2, height // 2, 6
            data = encode(look(render(tool, renders, scene, width, height, samples)), taken, kilobytes, quality, turned)
            path = (renders / f"preview-{name}.jpg") if chosen.preview else HERE / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            print(f"{path}: {len(data) // 1000} kB")


if __name__ == "__main__":
    main()
