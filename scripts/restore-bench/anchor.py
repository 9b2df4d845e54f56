"""What somebody does with OpenCV in an afternoon, for each kind of damage: what our engine is measured against. Each
chain gets the damaged picture and the mask of a person who marked the damage (none where there is none)."""

import cv2
import numpy as np


def stretch(picture):
    """Each colour between its 0.1 % and its 99.9 %, the outer 2 % of the picture left out."""
    height, width = picture.shape[:2]
    inside = picture[height // 50:height - height // 50, width // 50:width - width // 50]
    out = np.empty_like(picture)
    for colour in range(3):
        low, high = np.percentile(inside[..., colour], (0.1, 99.9))
        table = np.clip((np.arange(256) - low) / max(high - low, 1), 0, 1) * 255 + 0.5
        out[..., colour] = cv2.LUT(picture[..., colour], np.uint8(table))
    return out


def non_local_means(picture):
    """With the noise as a high-pass reads it."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    kernel = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32) / 6
    sigma = float(np.median(np.abs(cv2.filter2D(grey, -1, kernel))) / 0.6745 / 0.668)
    return picture if sigma < 2 else cv2.fastNlMeansDenoisingColored(picture, None, 0.6 * sigma, 0.6 * sigma, 5, 15)


def unsharp(picture, width=1.2, amount=1.0):
    return cv2.addWeighted(picture, 1 + amount, cv2.GaussianBlur(picture, (0, 0), width), -amount, 0)


def top_hat(picture):
    """What sticks out of an opening or a closing with a disc of 7."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    hats = [cv2.morphologyEx(grey, kind, disc) for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)]
    return cv2.dilate(np.uint8(np.maximum(*hats) > 50) * 255, np.ones((3, 3), np.uint8))


def fill(picture, mask):
    return cv2.inpaint(picture, mask, 3, cv2.INPAINT_TELEA)


def enlarge(picture, how):
    return cv2.resize(picture, None, fx=2, fy=2, interpolation=how)


# Kind of damage: name of the chain, whether it is shown the damage, the chain.
CHAINS = {
    "fade": [("stretch", False, lambda p, m: stretch(p))],
    "redfade": [("stretch", False, lambda p, m: stretch(p))],
    "noise10": [("nlm", False, lambda p, m: non_local_means(p))],
    "noise25": [("nlm", False, lambda p, m: non_local_means(p))],
    "grain": [("nlm", False, lambda p, m: non_local_means(p))],
    "blur": [("unsharp", False, lambda p, m: unsharp(p))],
    "jpeg25": [("bilateral", False, lambda p, m: cv2.bilateralFilter(p, 5, 25, 2))],
    "scratch": [("top hat, telea", False, lambda p, m: fill(p, top_hat(p))),
                ("telea", True, fill)],
    "halftone": [("gauss, unsharp", False,
                  lambda p, m: unsharp(cv2.GaussianBlur(p, (0, 0), 1.6), 2, 0.6))],
    "down2": [("cubic", False, lambda p, m: enlarge(p, cv2.INTER_CUBIC)),
              ("lanczos", False, lambda p, m: enlarge(p, cv2.INTER_LANCZOS4))],
    "aged": [("nlm, stretch", False, lambda p, m: stretch(non_local_means(p))),
             ("top hat, telea, nlm, stretch", False, lambda p, m: stretch(non_local_means(fill(p, top_hat(p))))),
             ("telea, nlm, stretch", True, lambda p, m: stretch(non_local_means(fill(p, m))))],
    "clean": [("nlm", False, lambda p, m: non_local_means(p)),
              ("stretch", False, lambda p, m: stretch(p)),
              ("top hat, telea", False, lambda p, m: fill(p, top_hat(p)))],
}
