"""Light of each channel, from the structures of every cell, before the microscope's optics."""

from __future__ import annotations

import numba
import numpy as np

from phenolake.simulation.noise_fields import BLOTCH, CLOUD, GRAIN, SPOTS, THREADS, TILE
from phenolake.simulation.outlines import radius_towards

_WRAP = TILE - 1
#: Positions in phenotype.STRUCTURES.
(
    CHROMATIN, NUCLEOLI, NUCLEOPLASM, CYTOPLASM, RETICULUM,
    GOLGI, CORTEX, FIBRES, MITOCHONDRIA, PUNCTA,
) = range(10)  # fmt: skip


@numba.njit(cache=True, inline="always")
def _lookup(fields: np.ndarray, kind: int, v: float, u: float) -> float:
    """Value of a periodic noise field at the nearest sample."""
    return fields[kind, int(np.floor(v)) & _WRAP, int(np.floor(u)) & _WRAP]


@numba.njit(cache=True, inline="always")
def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)


@numba.njit(cache=True)
def stain(
    cells: np.ndarray,
    nucleus: np.ndarray,
    body: np.ndarray,
    owner: np.ndarray,
    in_nucleus: np.ndarray,
    second: np.ndarray,
    fields: np.ndarray,
    mixture: np.ndarray,
    scale: float,
) -> np.ndarray:
    """Draw all cells; float32, shape (channel, y, x), counts above background.

    `owner` and `in_nucleus` are the label images of `assign_pixels`, `nucleus` and `body` the
    outlines, `mixture` counts per unit of each structure (channel, structure), `scale` the nucleus
    radius over that for which the textures were made.
    """
    channels = mixture.shape[0]
    size = owner.shape[0]
    image = np.zeros((channels, size, size), np.float32)
    amount = np.zeros(10, np.float64)
    for i in range(len(cells)):
        cell = cells[i]
        y, x = cell.y, cell.x
        reach = max(body[i].max(), nucleus[i].max()) + 1
        cosine, sine = np.cos(cell.angle), np.sin(cell.angle)
        nuclear_radius = nucleus[i].mean()
        golgi_distance = nuclear_radius + 2.5 * scale
        golgi_y = golgi_distance * np.sin(cell.golgi_angle)
        golgi_x = golgi_distance * np.cos(cell.golgi_angle)
        golgi_width = 4.2 * scale * cell.golgi_spread
        spacing = 4.0 * scale
        for row in range(max(0, int(y - reach)), min(size, int(y + reach) + 1)):
            for column in range(max(0, int(x - reach)), min(size, int(x + reach) + 1)):
                if owner[row, column] != i + 1:
                    continue
                dy, dx = row - y, column - x
                distance = np.sqrt(dy * dy + dx * dx)
                radius = radius_towards(body[i], dy, dx)
                inner = radius_towards(nucleus[i], dy, dx)
                depth = min(distance / radius, 1.0)
                v = dy * cosine - dx * sine
                u = dx * cosine + dy * sine
                tv, tu = v + cell.texture_y, u + cell.texture_x
                grain = _lookup(fields, GRAIN, tv, tu)
                blotch = _lookup(fields, BLOTCH, tv, tu)
                cloud = _lookup(fields, CLOUD, tv, tu)
                nuclear = in_nucleus[row, column] == i + 1
                thickness = 0.16 + 0.84 * (1 - depth * depth)

                for s in range(10):
                    amount[s] = 0.0
                if nuclear:
                    level = distance / inner
                    dome = np.sqrt(max(0.0, 1 - 0.72 * level * level))
                    spot_threshold = 0.85 / cell.nucleoli_size
                    nucleolus = _clip((blotch - spot_threshold) * 2.2) * _clip((0.92 - level) * 6)
                    mottle = max(0.15, 1 + cell.chromatin_grain * (0.8 * grain + 0.5 * blotch))
                    amount[CHROMATIN] = cell.chromatin * dome * mottle * (1 - 0.45 * nucleolus)
                    amount[NUCLEOLI] = cell.nucleoli * nucleolus
                    amount[NUCLEOPLASM] = cell.nucleoplasm * dome * (1 + 0.06 * grain)
                    amount[CYTOPLASM] = 0.45 * cell.cytoplasm
                    amount[RETICULUM] = 0.22 * cell.reticulum
                    amount[MITOCHONDRIA] = 0.05 * cell.mitochondria
                    amount[FIBRES] = 0.25 * cell.fibres
                else:
                    outward = _clip((distance - inner) / max(radius - inner, 1.0))
                    hole = _clip((_lookup(fields, BLOTCH, tv + 97, tu + 31) - 0.9) * 3) * _clip(
                        (0.9 - depth) * 8
                    )
                    solid = 1 - min(0.9, cell.vacuoles * hole)
                    amount[CYTOPLASM] = (
                        cell.cytoplasm * thickness * solid * (1 + 0.10 * blotch + 0.07 * cloud)
                    )
                    mesh = _lookup(fields, THREADS, 1.5 * tv, 1.5 * tu)
                    near = np.exp(-outward / cell.reticulum_reach)
                    amount[RETICULUM] = (
                        cell.reticulum * solid * (0.12 + near) * (0.55 + 0.75 * mesh)
                    )
                    zoom = 1.35 * cell.mito_fragmentation
                    thread = _lookup(fields, THREADS, zoom * tv + 53, zoom * tu + 11)
                    if cell.mito_fragmentation > 1.25:
                        beads = 0.35 + 0.65 * _clip(
                            0.5 + 1.2 * _lookup(fields, GRAIN, tv + 5, tu + 5)
                        )
                        thread *= beads
                    spread = np.exp(-((outward / cell.mito_reach) ** 2)) * _clip(outward * 6 + 0.25)
                    amount[MITOCHONDRIA] = (
                        cell.mitochondria * solid * spread * (0.14 + 1.6 * thread * thread)
                    )
                    away = (dy - golgi_y) ** 2 + (dx - golgi_x) ** 2
                    stacks = 0.25 + 1.1 * _lookup(fields, THREADS, 1.2 * tv + 19, 1.2 * tu + 71)
                    compact = np.exp(-0.5 * away / (golgi_width * golgi_width)) / cell.golgi_spread
                    amount[GOLGI] = 1.7 * cell.golgi * stacks * compact
                    spot = _lookup(fields, SPOTS, tv + 211, tu + 149)
                    cut = 0.42 / cell.puncta_count
                    amount[PUNCTA] = (
                        cell.puncta * _clip((spot - cut) * 2.5) * (0.4 + 0.6 * thickness)
                    )

                    warp = spacing * (
                        1.3 * cloud + 0.35 * _lookup(fields, BLOTCH, 0.5 * tv, 0.25 * tu)
                    )
                    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (v + warp) / spacing + cell.texture_y)
                    patch = _clip(0.35 + 0.6 * _lookup(fields, BLOTCH, 0.8 * tv + 40, 0.15 * tu))
                    amount[FIBRES] = (
                        cell.fibres
                        * wave
                        * wave
                        * wave
                        * patch
                        * (0.25 + 1.5 * outward * (1 - outward))
                    )
                    rival = second[row, column]
                    rim = min(1 - depth, 0.5 * max(rival - depth, 0.0)) * radius / (1.3 * scale)
                    rough = max(0.25, 1 + 0.35 * cloud)
                    amount[CORTEX] = cell.cortex * rough * np.exp(-rim * rim)
                for c in range(channels):
                    total = 0.0
                    for s in range(10):
                        total += mixture[c, s] * amount[s]
                    image[c, row, column] = total
    return image
