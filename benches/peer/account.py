"""The peer of core/benches/account.rs: dp-accounting's privacy loss distributions.

    pip install dp-accounting && python account.py [repeats]

Prints one JSON line for each row: epsilon at the grid of 1e-4 that is dp-accounting's default, and
the median wall seconds of the repeats.
"""

import json
import statistics
import sys
import time

from dp_accounting import dp_event
from dp_accounting.pld import pld_privacy_accountant

ROWS = [
    (0.04, 1.5, 2_250, 1e-5),
    (0.0064, 1.0, 782, 1e-6),
    (0.01, 1.0, 10_000, 1e-5),
    (0.001, 1.0, 30_000, 1e-7),
    (0.001, 1.0, 100_000, 1e-6),
    (0.01, 4.0, 100_000, 1e-6),
]


def epsilon(sample_rate, noise_multiplier, steps, delta):
    accountant = pld_privacy_accountant.PLDAccountant(value_discretization_interval=1e-4)
    gaussian = dp_event.GaussianDpEvent(noise_multiplier)
    accountant.compose(dp_event.PoissonSampledDpEvent(sample_rate, gaussian), steps)
    return accountant.get_epsilon(delta)


def main():
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    names = ("sample_rate", "noise_multiplier", "steps", "delta")
    for row in ROWS:
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            result = epsilon(*row)
            seconds.append(time.perf_counter() - start)
        measured = {"epsilon": result, "seconds": statistics.median(seconds)}
        print(json.dumps(dict(zip(names, row)) | measured), flush=True)


main()
