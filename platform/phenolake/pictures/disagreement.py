"""Truth, a method's objects and where they differ, side by side, as one small PNG."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phenolake.errors import MaskShapeError
from phenolake.evaluation.matching import Overlaps, find_overlaps
from phenolake.pictures.overlay import grey_levels, outlines, sampled

#: What became of objects -> colour; of Okabe and Ito's set, told apart with any colour vision.
FATES = {
    "matched": (0, 114, 178),
    "missed": (230, 159, 0),
    "extra": (240, 228, 66),
    "split": (204, 121, 167),
    "merged": (0, 158, 115),
}
_OUTLINE = (255, 255, 255)
_GREYS = 64
_GAP = 4
_LINE = 14


@dataclass(frozen=True)
class Fates:
    """How objects fared: for true and for predicted objects a position in `FATES`, by label order."""

    overlaps: Overlaps
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]

    @property
    def counts(self) -> dict[str, int]:
        """Objects of each fate: true ones, for extra and merged predicted ones."""
        names = list(FATES)
        return {
            name: int(
                np.count_nonzero(
                    (self.predicted if name in ("extra", "merged") else self.true)
                    == names.index(name)
                )
            )
            for name in names
        }


def fates_of(truth: ArrayLike, predicted: ArrayLike, threshold: float = 0.5) -> Fates:
    """Tell for each object whether it was matched, missed, extra, split or merged.

    True objects are matched, split or missed, or lie in a merged one; predicted ones are matched,
    merged or extra, or are a piece of a split one. A matched pair is matched, whatever else
    overlaps it.
    """
    pairs = find_overlaps(truth, predicted)
    names = list(FATES)
    matched, missed, extra, split, merged = (names.index(name) for name in names)
    true = np.full(pairs.true_names.size, missed)
    guess = np.full(pairs.predicted_names.size, extra)
    cut, joined = pairs.split(), pairs.merged()
    # An object mostly inside a split or merged one shares its fate.
    true[pairs.true[joined[pairs.predicted] & (2 * pairs.shared > pairs.true_area[pairs.true])]] = (
        merged
    )
    inside = 2 * pairs.shared > pairs.predicted_area[pairs.predicted]
    guess[pairs.predicted[cut[pairs.true] & inside]] = split
    true[cut], guess[joined] = split, merged
    hit = pairs.matched(threshold)
    true[pairs.true[hit]], guess[pairs.predicted[hit]] = matched, matched
    return Fates(pairs, true, guess)


def disagreement_picture(
    image: ArrayLike,
    truth: ArrayLike,
    predicted: ArrayLike,
    title: str = "",
    *,
    threshold: float = 0.5,
    tile: int = 340,
) -> bytes:
    """PNG of three panels: the truth's outlines, the method's, and every object by its fate.

    In the third panel, true objects are filled with the colour of their fate (matched, missed,
    split, or part of a merged one) and the predicted objects are outlined: extra ones are filled
    too. A legend counts each fate.

    Parameters
    ----------
    image
        Any real dtype, shape (y, x) or (channel, y, x).
    truth, predicted
        Label images, integers, shape (y, x), 0 = background.
    title
        Names image and method.
    threshold
        IoU from which a pair is matched.
    tile
        Longer edge of a panel, pixels.

    Raises
    ------
    MaskShapeError
        If a label image has another shape than the image.
    """
    stack = np.asarray(image)
    stack = stack[None] if stack.ndim == 2 else stack
    true, guess = np.asarray(truth), np.asarray(predicted)
    for side, labels in (("truth", true), ("predicted", guess)):
        if labels.shape != stack.shape[1:]:
            raise MaskShapeError(side, stack.shape[1:], labels.shape)
    scale = min(2.0, tile / max(true.shape))
    size = tuple(max(1, round(length * scale)) for length in true.shape)
    grey = grey_levels(stack, size, _GREYS)
    fates = fates_of(true, guess, threshold)
    small_true, small_guess = sampled(true, size), sampled(guess, size)
    edge = _GREYS + len(FATES)
    panels = []
    for labels in (small_true, small_guess):
        panel = grey.copy()
        panel[outlines(labels)] = edge
        panels.append(panel)
    # Half as bright, so that fills stand out.
    panel = grey // 2
    pairs = fates.overlaps
    extra = list(FATES).index("extra")
    drawn = _looked_up(small_guess, pairs.predicted_names, fates.predicted)
    panel[drawn == extra] = _GREYS + extra
    filled = _looked_up(small_true, pairs.true_names, fates.true)
    panel[filled >= 0] = (_GREYS + filled[filled >= 0]).astype(np.uint8)
    panel[outlines(small_guess)] = edge
    panels.append(panel)
    return _sheet(panels, fates.counts, title)


def _looked_up(labels: NDArray, names: NDArray, values: NDArray) -> NDArray[np.int64]:
    """The value of each pixel's object; -1 on the background."""
    position = np.searchsorted(names, labels)
    return np.where(labels > 0, np.append(values, -1)[position], -1)


def _sheet(panels: list[NDArray[np.uint8]], counts: dict[str, int], title: str) -> bytes:
    from PIL import Image, ImageDraw

    height, width = panels[0].shape
    across = max(len(panels) * (width + _GAP) - _GAP, 420)
    sheet = Image.new("P", (across, height + 3 * _LINE + 4), 0)
    greys = [round(255 * level / (_GREYS - 1)) for level in range(_GREYS) for _ in range(3)]
    sheet.putpalette([*greys, *(v for colour in (*FATES.values(), _OUTLINE) for v in colour)])
    pen = ImageDraw.Draw(sheet)
    white = _GREYS - 1
    pen.text((2, 1), title, fill=white)
    for number, (panel, caption) in enumerate(
        zip(panels, ("truth", "method", "difference"), strict=True)
    ):
        left = number * (width + _GAP)
        sheet.paste(Image.fromarray(panel), (left, _LINE))
        pen.text((left + 2, height + _LINE + 1), caption, fill=white)
    left, top = 2, height + 2 * _LINE + 3
    for number, (name, count) in enumerate(counts.items()):
        pen.rectangle((left, top + 1, left + 9, top + 10), fill=_GREYS + number)
        text = f"{name} {count}"
        pen.text((left + 14, top), text, fill=white)
        left += 14 + int(pen.textlength(text)) + 12
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
