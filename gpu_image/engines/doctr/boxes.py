"""From the detector's map of text to the boxes of its words.

What docTR's post-processors compute (doctr.models.detection, DB, LinkNet and FAST), the
same numbers. Straight boxes take a fraction of the time: means over boxes come from one
integral image, and growing a level rectangle needs no polygon clipper. Leaning ones, for
the few pages whose words do not run level, are found as docTR finds them.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import pyclipper
from numpy.typing import NDArray

Map = NDArray[np.float32]
"""Side x side: how likely each point of the square belongs to a word."""

LEANING_DEGREES = 0.9
"""From here on, words are cut along their direction. The islands of a map lean less than the
words do: it is what a page 1.2 degrees askew shows, and where both ways read as well."""
LONG = 3.0
"""A word so many times longer than high knows its direction."""

_OPENING = np.ones((3, 3), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class BoxRules:
    """A post-processor's settings."""

    map_threshold: float
    """A point of the map this likely or more is text."""
    box_threshold: float
    """A box whose mean is less is none."""
    growth: float
    """The maps are taught to show words too small; how much they are grown again."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """Words as corners (N, 4, 2), fractions of the square, clockwise from the top left."""

    corners: NDArray[np.float64]
    straight: bool


def find_boxes(text_map: Map, rules: BoxRules) -> Boxes:
    """The words of a map: straight boxes, or leaning ones if many of them lean."""
    contours = outlines(text_map, rules)
    if _lean(contours):
        return Boxes(leaning_boxes(text_map, contours, rules), straight=False)
    straight = straight_boxes(text_map, contours, rules)
    left, top, right, bottom = straight.T
    corners = np.stack([left, top, right, top, right, bottom, left, bottom], axis=1)
    return Boxes(corners.reshape(-1, 4, 2), straight=True)


def straight_boxes(
    text_map: Map, contours: list[NDArray[np.int32]], rules: BoxRules
) -> NDArray[np.float64]:
    """Boxes as (left, top, right, bottom), fractions of the square, in docTR's order."""
    if not contours:
        return np.zeros((0, 4))
    side_y, side_x = text_map.shape
    x, y, width, height = np.array([cv2.boundingRect(one) for one in contours]).T
    sums = np.asarray(cv2.integral(text_map))
    # docTR's mean includes the first row and column beyond the box, if there are any.
    right, bottom = np.minimum(x + width, side_x - 1) + 1, np.minimum(y + height, side_y - 1) + 1
    total = sums[bottom, right] - sums[y, right] - sums[bottom, x] + sums[y, x]
    likely = total / ((right - x) * (bottom - y)) >= rules.box_threshold
    grown = width * height * rules.growth / (2 * (width + height))
    left, top = _rounded(x - grown), _rounded(y - grown)
    right, bottom = _rounded(x + width + grown) + 1, _rounded(y + height + grown) + 1
    found = np.stack([left / side_x, top / side_y, right / side_x, bottom / side_y], axis=1)
    return found[likely].clip(0, 1)


def leaning_boxes(
    text_map: Map, contours: list[NDArray[np.int32]], rules: BoxRules
) -> NDArray[np.float64]:
    """Boxes as corners (N, 4, 2) along their words, fractions of the square."""
    found: list[NDArray[np.float64]] = []
    for contour in contours:
        if _mean_inside(text_map, contour) < rules.box_threshold:
            continue
        around = cv2.minAreaRect(contour)
        width, height = around[1]
        # One more pixel each way: a rectangle around points leaves out half of those at its edge.
        distance = (width + 1) * (height + 1) * rules.growth / (2 * (width + height) + 2)
        grown = _grown(np.asarray(cv2.boxPoints(around), dtype=np.float32), distance)
        if grown is not None:
            corners = np.asarray(cv2.boxPoints(cv2.minAreaRect(grown)), dtype=np.float64)
            found.append(_from_top_left(corners))
    if not found:
        return np.zeros((0, 4, 2))
    return (np.stack(found) / np.array(text_map.shape[::-1])).clip(0, 1)


def outlines(text_map: Map, rules: BoxRules) -> list[NDArray[np.int32]]:
    """Outlines of the map's islands that are at least three pixels wide and high."""
    likely = (text_map >= rules.map_threshold).astype(np.uint8)
    islands = cv2.morphologyEx(likely, cv2.MORPH_OPEN, _OPENING)
    outlines, _ = cv2.findContours(islands, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    contours = [np.asarray(outline, dtype=np.int32) for outline in outlines]
    return [one for one in contours if min(cv2.boundingRect(one)[2:]) > 2]


def _lean(contours: list[NDArray[np.int32]]) -> bool:
    """Whether the long words do not run level: the median of their angles, weighted by length."""
    angles: list[float] = []
    lengths: list[float] = []
    for contour in contours:
        length, height = sorted(cv2.minAreaRect(contour)[1], reverse=True)
        if length <= LONG * height:
            continue
        # By its moments: the smallest rectangle around it lies level for longer than it does.
        moments = cv2.moments(contour)
        spread = moments["mu20"] - moments["mu02"]
        angle = abs(math.degrees(math.atan2(2 * moments["mu11"], spread))) / 2
        if angle < 45:  # else it runs down the page, or the page lies on its side
            angles.append(angle)
            lengths.append(length)
    if not angles:
        return False
    order = np.argsort(angles)
    below = np.cumsum(np.array(lengths)[order])
    return angles[order[np.searchsorted(below, below[-1] / 2)]] >= LEANING_DEGREES


def _mean_inside(text_map: Map, contour: NDArray[np.int32]) -> float:
    x, y, width, height = cv2.boundingRect(contour)
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.fillPoly(mask, [contour.reshape(-1, 2) - np.array([x, y], dtype=np.int32)], [1])
    return cv2.mean(text_map[y : y + height, x : x + width], mask)[0]


def _grown(corners: NDArray[np.floating], distance: float) -> NDArray[np.int32] | None:
    """A polygon around the rectangle, so far outside; of several, the one of most corners."""
    offset = pyclipper.PyclipperOffset()
    offset.AddPath(corners, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    around = max(offset.Execute(distance), key=len, default=None)
    return None if around is None else np.array(around, dtype=np.int32)


def _from_top_left(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """A rectangle's corners, clockwise, from where its text begins if that runs nearly level."""
    sides = np.roll(corners, -1, axis=0) - corners
    rightward = sides[:, 0] / np.maximum(np.hypot(sides[:, 0], sides[:, 1]), 1e-9)
    return np.roll(corners, -int(rightward.argmax()), axis=0)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """To the nearest integer, halves away from zero: as docTR's polygon clipper rounds."""
    return (np.sign(values) * np.floor(np.abs(values) + 0.5)).astype(np.int64)
