"""Where a picture differs from what was last read off it, so that only there it is read again."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_SMALL_SIDE = 640
_CHANGE = 24
_LEAST_PIXELS = 10
_CELL = 16
_MOST_SHARE = 0.5
"""Where more of a picture than this has changed, reading all of it costs no more."""


class Region(NamedTuple):
    """A rectangle of a picture in pixels; `right` and `bottom` are outside of it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        """Pixels."""
        return (self.right - self.left) * (self.bottom - self.top)

    def meets(self, other: "Region") -> bool:
        """Whether the two have a pixel in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def with_(self, other: "Region") -> "Region":
        """The smallest region around both."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Region(left, top, max(self.right, other.right), max(self.bottom, other.bottom))


class Changes:
    """Compares pictures with what was last read of each of their parts. All have one size."""

    def __init__(self) -> None:
        self._read: Picture | None = None

    def since(self, picture: Picture, lines: list[Region]) -> list[Region]:
        """The regions in which the picture differs, which count as read from now on. None overlap.

        A region that touches one of the `lines` that stand on the picture takes all of it in: half a line cannot be
        read. Everything is one region if it is the first picture, or if most of it differs.
        """
        height, width = picture.shape[:2]
        everything = Region(0, 0, width, height)
        scale = min(1.0, _SMALL_SIDE / max(width, height))
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        if self._read is None:
            self._read = small
            return [everything]
        differs = difference(small, self._read) > _CHANGE
        if int(np.count_nonzero(differs)) < _LEAST_PIXELS:
            return []
        found = [_scaled(region, 1 / scale, everything) for region in _patches(differs)]
        regions = _joined(found, [line for line in lines if line.meets(everything)], everything)
        if sum(region.area for region in regions) > everything.area * _MOST_SHARE:
            self._read = small
            return [everything]
        for region in regions:
            left, top, right, bottom = (round(edge * scale) for edge in region)
            self._read[top:bottom, left:right] = small[top:bottom, left:right]
        return regions


def difference(one: Picture, other: Picture) -> Picture:
    """Of each pixel, the change of the channel that changed most."""
    first, second, third = cv2.split(cv2.absdiff(one, other))
    return cv2.max(cv2.max(first, second), third).astype(np.uint8, copy=False)


def _patches(differs: NDArray[np.bool_]) -> list[Region]:
    """Rectangles around what differs, on a coarse grid and with a cell to spare: letters need room around them."""
    height, width = differs.shape
    rows, columns = -(-height // _CELL), -(-width // _CELL)
    padded = np.zeros((rows * _CELL, columns * _CELL), np.bool_)
    padded[:height, :width] = differs
    cells = np.asarray(padded.reshape(rows, _CELL, columns, _CELL).any(axis=(1, 3)), np.uint8)
    grown = cv2.dilate(cells, np.ones((3, 3), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(grown, connectivity=8)
    return [_patch(row) for row in stats[1:]]


def _patch(row: Any) -> Region:
    left, top, width, height = (int(number) * _CELL for number in row[:4])
    return Region(left, top, left + width, top + height)


def _scaled(region: Region, scale: float, inside: Region) -> Region:
    left, top, right, bottom = (round(edge * scale) for edge in region)
    return Region(left, top, min(right, inside.right), min(bottom, inside.bottom))


def _joined(regions: list[Region], lines: list[Region], inside: Region) -> list[Region]:
    """The regions with the lines that they touch, those that overlap made one."""
    joined: list[Region] = []
    waiting, left = list(regions), list(lines)
    while waiting:
        region = waiting.pop()
        touching = [other for other in (*joined, *waiting, *left) if region.meets(other)]
        if not touching:
            joined.append(region)
            continue
        for other in touching:
            region = region.with_(other)
            for pile in (joined, waiting, left):
                if other in pile:
                    pile.remove(other)
        waiting.append(region)
    return [
        Region(max(r.left, 0), max(r.top, 0), min(r.right, inside.right), min(r.bottom, inside.bottom)) for r in joined
    ]
