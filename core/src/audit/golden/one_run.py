"""Writes one_run.json: the pseudo-code of Steinke, Nasr and Jagielski (2023), appendix D, run by scipy."""
import json
import math
import pathlib

import scipy.stats


def p_value(m, r, v, eps, delta):
    q = 1 / (1 + math.exp(-eps))
    beta = scipy.stats.binom.sf(v - 1, r, q)
    alpha = 0.0
    total = 0.0
    for i in range(1, v + 1):
        total += scipy.stats.binom.pmf(v - i, r, q)
        if total > i * alpha:
            alpha = total / i
    return min(beta + alpha * delta * 2 * m, 1.0)


def lower_bound(m, r, v, delta, p):
    low, high = 0.0, 1.0
    while p_value(m, r, v, high, delta) < p:
        high += 1
    for _ in range(50):
        middle = (low + high) / 2
        if p_value(m, r, v, middle, delta) < p:
            low = middle
        else:
            high = middle
    return low


rows = []
for m, r, v, delta, p in [
    (100, 100, 50, 0.0, 0.05),
    (100, 100, 75, 1e-5, 0.05),
    (100, 100, 100, 1e-5, 0.05),
    (1000, 100, 98, 1e-5, 0.05),
    (1000, 100, 100, 0.0, 0.01),
    (1000, 1000, 600, 1e-4, 0.05),
    (5000, 500, 499, 1e-5, 0.05),
    (200, 20, 0, 1e-5, 0.05),
    (64, 1, 1, 0.0, 0.05),
]:
    rows.append({
        "m": m, "r": r, "v": v, "delta": delta, "p": p,
        "p_values": [[eps, p_value(m, r, v, eps, delta)] for eps in (0.0, 0.5, 2.0, 8.0)],
        "epsilon": lower_bound(m, r, v, delta, p),
    })
text = ",\n".join(json.dumps(row) for row in rows)
pathlib.Path(__file__).with_name("one_run.json").write_text(f"[\n{text}\n]\n")
