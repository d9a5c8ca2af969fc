"""Makes gaussian.json: Box and Muller's cosine of given random words, to 60 digits (mpmath)."""

import json
import random

from mpmath import cos, log, mp, mpf, pi, sin, sqrt

mp.dps = 120
random.seed(20251123)


def gaussian(high, low, angle):
    u = (mpf(high) * 2**128 + low + mpf(1) / 2) / mpf(2) ** 256
    theta = (mpf(angle >> 2) + mpf(1) / 2) * pi / 4 / mpf(2) ** 62
    x = sqrt(-2 * log(u)) * (-1 if angle & 1 else 1) * (sin(theta) if angle & 2 else cos(theta))
    return x


def words():
    top = 2**128 - 1
    for exponent in (0, 1, 2, 60, 64, 100, 120, 126, 127):
        for flip in (0, top):
            yield (1 << exponent) ^ flip, random.getrandbits(128), random.getrandbits(64)
    for shift in range(0, 72, 2):
        yield random.getrandbits(128) >> shift, random.getrandbits(128), random.getrandbits(64)
        yield top - (random.getrandbits(128) >> shift), random.getrandbits(128), random.getrandbits(64)
    for angle in (0, 1, 2, 3, 2**64 - 1, 2**64 - 2, 2**63, 7 << 40):
        yield random.getrandbits(128), random.getrandbits(128), angle
    for _ in range(400):
        yield random.getrandbits(128), random.getrandbits(128), random.getrandbits(64)


rows = []
for high, low, angle in words():
    x = gaussian(high, low, angle)
    value = float(x)
    rows.append([f"{high:x}", f"{low:x}", f"{angle:x}", value, float(x - mpf(value))])
with open("gaussian.json", "w") as file:
    file.write("[" + ",\n".join(json.dumps(row) for row in rows) + "]\n")
