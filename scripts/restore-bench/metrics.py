"""How alike two pictures are."""

import cv2
import numpy as np


def psnr(one, other):
    """In decibels over all samples, 60 at most: that is what two pictures count that hardly differ."""
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return 60.0 if error == 0 else min(60.0, 10 * np.log10(255**2 / error))


def ssim(one, other):
    """Structural similarity of the brightness (Wang and others, 2004): Gaussian window of 11, 1.5 wide."""
    a, b = (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float64) for picture in (one, other))
    mean = lambda plane: cv2.GaussianBlur(plane, (11, 11), 1.5)
    mean_a, mean_b = mean(a), mean(b)
    spread = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    together = mean(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    score = (2 * mean_a * mean_b + c1) * (2 * together + c2) / ((mean_a**2 + mean_b**2 + c1) * (spread + c2))
    return float(score[5:-5, 5:-5].mean())
