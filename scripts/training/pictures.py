"""Pictures to learn from, which nobody has photographed: rendered from a seed, so that anyone gets the same ones.

A scene is a pile of opaque shapes from large to small ("dead leaves"), of all sizes, each with its own shading and its own texture (clouds, stripes,
weave, grain), strewn with what photographs have and leaves have not: hair and twigs, lettering, lamps, eyes, fences.
It is drawn at twice the size and brought down by averaging, as a lens and a sensor do.

    import pictures; rgb = pictures.scene(seed)          # 384 x 384 x 3, uint8
"""

import pathlib

import cv2
import numpy as np

SIDE = 384


def clouds(rng, side, roughness):
    """Noise whose power falls with the frequency to the given power, from -1 to 1."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
    frequency[0, 0] = 1.0
    waves = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    field = np.fft.irfft2(waves / frequency ** (roughness / 2 + 0.5), s=(side, side))
    return (field / np.abs(field).max()).astype(np.float32)


def texture(rng, side, smooth):
    """What the inside of a shape looks like, around 0."""
    kind = rng.integers(0, 6)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    period = np.exp(rng.uniform(np.log(5), np.log(60)))
    bend = smooth * rng.uniform(0, 40)
    if kind == 0:
        stripes = np.sin((u + bend) * 2 * np.pi / period)
        return stripes if rng.random() < 0.5 else np.clip(stripes * 4, -1, 1)
    if kind == 1:
        return np.sin((u + bend) * 2 * np.pi / period) * np.sin((v + bend) * 2 * np.pi / period)
    if kind == 2:
        grain = cv2.GaussianBlur(rng.normal(size=(side, side)).astype(np.float32), (0, 0), rng.uniform(0.8, 2.5))
        return grain / grain.std() / 3
    if kind == 3:
        fur = cv2.GaussianBlur(rng.normal(size=(side, side)).astype(np.float32), (0, 0), rng.uniform(0.6, 1.2))
        kernel = np.zeros((31, 31), np.float32)
        cv2.line(kernel, (15 - int(14 * np.cos(angle)), 15 - int(14 * np.sin(angle))),
                 (15 + int(14 * np.cos(angle)), 15 + int(14 * np.sin(angle))), 1, 1)
        fur = cv2.filter2D(fur, -1, kernel)
        return fur / fur.std() / 2.5
    return smooth if kind == 4 else np.zeros((side, side), np.float32)


def outline(rng, centre, radius):
    """A closed line around a centre: round, angular or lobed."""
    kind = rng.integers(0, 4)
    if kind == 0:
        axes = (max(1.0, radius), max(1.0, radius * rng.uniform(0.3, 1)))
        return cv2.ellipse2Poly((0, 0), (int(axes[0]), int(axes[1])), int(rng.integers(0, 180)), 0, 360, 6) + centre
    corners = int(rng.integers(3, 7)) if kind < 3 else 40
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners)) if kind < 3 else np.linspace(0, 2 * np.pi, corners)
    lobes = 1 + (0.3 * np.sin(angles * rng.integers(2, 6) + rng.uniform(0, 6)) if kind == 3 else 0)
    return np.stack([np.cos(angles), np.sin(angles)], 1) * (radius * lobes)[..., None] + centre \
        if kind == 3 else np.stack([np.cos(angles), np.sin(angles)], 1) * radius + centre


def colour(rng, mood):
    """A colour near the mood of the scene; grey things are as common as coloured ones."""
    value = np.clip(rng.normal(mood, 60), 0, 255)
    return np.clip(value + rng.normal(0, 1, 3) * rng.choice([3, 15, 45]), 0, 255).astype(np.float32)


def ink(picture, shade, draw):
    """Lays a colour over the picture where `draw` draws white on black."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    draw(mask)
    x, y, w, h = cv2.boundingRect(mask)
    share = mask[y:y + h, x:x + w, None].astype(np.float32) / 255
    picture[y:y + h, x:x + w] += share * (np.float32(shade) - picture[y:y + h, x:x + w])


def twigs(rng, picture, mood):
    """Thin curves: hair, whiskers, grass, branches, wires."""
    side = picture.shape[0]
    many, spread = int(rng.choice([3, 20, 120])), rng.uniform(0.05, 0.6)
    heading, place = rng.uniform(0, 2 * np.pi), rng.uniform(0, side, 2)
    lines = [[] for _ in range(3)]
    for index in range(many):
        point = place + rng.normal(0, side * spread / 2, 2)
        angle, turn = heading + rng.normal(0, spread), rng.normal(0, 0.05)
        line = [point]
        for _ in range(int(rng.integers(4, 30))):
            angle += turn + rng.normal(0, 0.05)
            point = point + 12 * np.array([np.cos(angle), np.sin(angle)])
            line.append(point)
        lines[index % 3].append(np.int32(line))
    shade = colour(rng, mood)
    for some in lines:
        tone, thick = np.clip(shade + rng.normal(0, 20), 0, 255), int(rng.integers(1, 5))
        ink(picture, tone, lambda mask: cv2.polylines(mask, some, False, 255, thick, cv2.LINE_AA))


def lettering(rng, picture, mood):
    letters = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,"), 24))
    shade, size = colour(rng, 255 - mood), rng.uniform(0.5, 3)
    (x, y), lines = rng.integers(0, picture.shape[0], 2), int(rng.integers(1, 6))
    font, thick = int(rng.integers(0, 5)), int(rng.integers(1, 4))

    def write(mask):
        for line in range(lines):
            place = (int(x * 0.6), int(y + line * size * 36))
            cv2.putText(mask, letters[line:], place, font, size, 255, thick, cv2.LINE_AA)

    ink(picture, shade, write)


def lights(rng, picture):
    """Lamps, glints and eyes: small bright spots, often with a dark ring around them."""
    side = picture.shape[0]
    for _ in range(int(rng.integers(2, 12))):
        centre, radius = tuple(int(v) for v in rng.integers(0, side, 2)), int(rng.integers(2, 16))
        if rng.random() < 0.5:
            ink(picture, colour(rng, 50), lambda mask: cv2.circle(mask, centre, radius * 3, 255, -1, cv2.LINE_AA))
        ink(picture, colour(rng, 240), lambda mask: cv2.circle(mask, centre, radius, 255, -1, cv2.LINE_AA))


def fence(rng, picture, mood):
    """Parallel straight bars: fences, window frames, railings."""
    side, shade = picture.shape[0], colour(rng, mood)
    step, thick, slope = rng.integers(12, 120), int(rng.integers(1, 8)), rng.normal(0, 0.2)
    start, stop = np.sort(rng.uniform(0, side, 2))
    upright = rng.random() < 0.5
    first = rng.integers(0, step)

    def build(mask):
        for at in np.arange(first, side, step):
            ends = [(at, start), (at + slope * (stop - start), stop)]
            ends = ends if upright else [end[::-1] for end in ends]
            cv2.line(mask, *[tuple(int(v) for v in end) for end in ends], 255, thick, cv2.LINE_AA)

    ink(picture, shade, build)


def scene(seed, side=SIDE):
    """One picture as `side` x `side` x 3 bytes."""
    rng = np.random.default_rng([20261121, seed])
    big = 2 * side
    mood, smooth = rng.uniform(60, 190), clouds(rng, big, 2.2)
    picture = np.full((big, big, 3), colour(rng, mood), np.float32)
    picture += smooth[..., None] * rng.uniform(0, 60)
    textures = [texture(rng, big, smooth) for _ in range(6)]
    extras = [lambda: twigs(rng, picture, rng.choice([20, mood, 230])), lambda: lettering(rng, picture, mood),
              lambda: lights(rng, picture), lambda: fence(rng, picture, rng.choice([30, mood, 220]))]
    leaves = int(rng.integers(60, 300))
    # From large to small, so that the small ones are seen.
    radii = np.exp(rng.uniform(np.log(5), np.log(big * 0.5), leaves))
    for radius in np.sort(radii)[::-1]:
        points = np.int32(outline(rng, rng.uniform(0, big, 2), radius))
        x, y, w, h = cv2.boundingRect(points)
        x0, y0, x1, y1 = max(x - 1, 0), max(y - 1, 0), min(x + w + 1, big), min(y + h + 1, big)
        if x0 >= x1 or y0 >= y1:
            continue
        box = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(box, [points - [x0, y0]], 255, cv2.LINE_AA)
        share = box[..., None].astype(np.float32) / 255
        grain = textures[rng.integers(0, 6)][y0:y1, x0:x1, None] * rng.choice([0, 6, 20, 45])
        slope = (np.linspace(-1, 1, x1 - x0)[None, :, None] * rng.normal(0, 15)
                 + np.linspace(-1, 1, y1 - y0)[:, None, None] * rng.normal(0, 15)).astype(np.float32)
        picture[y0:y1, x0:x1] += share * (colour(rng, mood) + grain + slope - picture[y0:y1, x0:x1])
        if rng.random() < 4 / leaves:
            extras[rng.integers(0, 4)]()
    picture = np.clip(picture, 0, 255)
    if rng.random() < 0.5:
        # A lens that is not quite sharp.
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.6, 1.6))
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return (np.clip(small, 0, 255) + 0.5).astype(np.uint8)


def photographs():
    """Files of the photographs of the scikit-image package that the restoration bench does not score. Public domain or
    CC0, as the documentation of skimage.data says."""
    import skimage.data
    folder = pathlib.Path(skimage.data.__file__).parent
    names = ["brick", "grass", "gravel", "coins", "clock_motion", "moon", "page", "text"]
    return [str(folder / f"{name}.png") for name in names]


if __name__ == "__main__":
    import sys
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 4):
        cv2.imwrite(f"scene-{seed}.png", scene(seed)[..., ::-1])
