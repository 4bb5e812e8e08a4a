"""What covers a face, drawn in its eye distances: people's measures divided by 63 mm between the pupils.

Source of the measures: sizes printed on spectacles (lens 48 to 58 mm, bridge 14 to 24 mm), adult hands of about 190 mm
by 85 mm, hand microphones of about 50 mm by 180 mm; rounded, and varied.
"""

import math
from collections.abc import Callable

import numpy as np

from compress.distill.training_data.occluders.canvas import Canvas, Colour, curve, ellipse, mix, shade

_SKIN: tuple[Colour, ...] = ((66, 42, 30), (120, 78, 54), (176, 122, 90), (214, 164, 130), (244, 208, 182))
_HAIR: tuple[Colour, ...] = ((16, 13, 12), (58, 38, 26), (112, 74, 44), (186, 148, 92), (205, 203, 200))
_FRAME: tuple[Colour, ...] = ((14, 14, 16), (70, 42, 26), (150, 120, 80), (180, 182, 188), (40, 54, 96))
_METAL: tuple[Colour, ...] = ((24, 24, 27), (70, 71, 76), (168, 170, 176))
_LENS: tuple[Colour, ...] = ((10, 10, 12), (46, 32, 22), (22, 34, 46))
_MOUTH_BELOW_EYES = 1.13


def draw_glasses(canvas: Canvas, random: np.random.Generator) -> None:
    """Draw two rims with a bridge and temples, before clear lenses with a glint or dark ones."""
    frame, rim = mix(random, _FRAME), random.uniform(0.04, 0.12)
    half_width, half_height = random.uniform(0.37, 0.43), random.uniform(0.24, 0.40)
    power, height = random.choice([2.0, 2.5, 3.5, 5.0]), random.uniform(-0.04, 0.08)
    dark = random.random() < 0.45
    tint, alpha = (mix(random, _LENS), random.uniform(0.7, 0.97)) if dark else ((235, 242, 248), 0.08)
    outer = half_width + 0.5
    for side in (-1, 1):
        hinge = np.array([side * outer, height - 0.6 * half_height])
        ear = np.array([side * random.uniform(1.12, 1.25), hinge[1] - random.uniform(0.0, 0.1)])
        canvas.stroke(np.stack([hinge, ear]), max(rim, 0.06), frame)
        centre = (side * 0.5, height)
        canvas.polygon(ellipse(centre, half_width + rim / 2, half_height + rim / 2, power), frame)
        canvas.polygon(ellipse(centre, half_width - rim / 2, half_height - rim / 2, power), tint, alpha)
        _draw_glint(canvas, random, centre, half_height, tint, min(1.0, alpha + 0.15))
    inner = 0.5 - half_width
    ends = np.array([[-inner, height - 0.05], [0, height - 0.12], [inner, height - 0.05]])
    canvas.stroke(curve(*ends), max(rim, 0.05), frame)


def _draw_glint(
    canvas: Canvas,
    random: np.random.Generator,
    centre: tuple[float, float],
    half_height: float,
    tint: Colour,
    alpha: float,
) -> None:
    """Draw the slanting reflection of a window into a lens."""
    middle, width = centre[0] + random.uniform(-0.12, 0.08), random.uniform(0.04, 0.1)
    reach = 0.55 * half_height
    corners = [(reach / 2, -reach), (reach / 2 + width, -reach), (-reach / 2 + width, reach), (-reach / 2, reach)]
    canvas.polygon(np.array(corners) + np.array([middle, centre[1]]), shade(np.asarray(tint) + 25.0, 1.0), alpha)


def draw_hand(canvas: Canvas, random: np.random.Generator) -> None:
    """Draw a hand that reaches in from below or from a side: forearm, palm, four fingers and a thumb."""
    skin, sleeve = mix(random, _SKIN), mix(random, ((30, 34, 48), (150, 40, 44), (90, 120, 90), (225, 225, 220)))
    goal = np.array([random.uniform(-0.9, 0.9), random.uniform(-0.1, 1.6)])
    angle = random.uniform(-1.9, 1.9)
    """Direction that the fingers point in: 0 is up, positive clockwise."""
    size, handed, spread = random.uniform(0.85, 1.1), random.choice([-1.0, 1.0]), random.uniform(0.02, 0.16)
    cosine, sine = math.cos(angle) * size, math.sin(angle) * size

    def on_hand(points: list[tuple[float, float]]) -> np.ndarray:
        """Map points right of the palm's middle and towards the fingertips."""
        right, up = np.array(points).T * np.array([[handed], [1.0]])
        return np.stack([right * cosine + up * sine, right * sine - up * cosine], axis=1) + goal

    _stroke_round(canvas, on_hand([(0, -0.75), (0, -5.0)]), np.array([0.8, 1.15]) * size, skin)
    if random.random() < 0.6:
        _stroke_round(canvas, on_hand([(0, -1.7), (0, -5.0)]), np.array([1.25, 1.6]) * size, sleeve)
    palm = on_hand([(-0.6, 0.72), (0.6, 0.8), (0.66, 0.3), (0.5, -0.75), (-0.42, -0.75), (-0.62, 0.0)])
    canvas.polygon(palm, shade(skin, 0.97))
    thumb = [(0.42, -0.45), (0.85, 0.05 + spread), (1.0 + 2 * spread, 0.62)]
    _stroke_round(canvas, on_hand(thumb), np.array([0.42, 0.36, 0.28]) * size, skin)
    curled = random.uniform(0.55, 1.0)
    for number, (length, width) in enumerate(((1.0, 0.25), (1.2, 0.28), (1.28, 0.29), (1.15, 0.28))):
        base, lean = -0.47 + 0.315 * number, spread * (number - 1.5)
        reach = length * curled * random.uniform(0.92, 1.0)
        finger = [(base, 0.55), (base + lean * 0.9, 0.7 + 0.5 * reach), (base + lean * 1.7, 0.7 + reach)]
        _stroke_round(canvas, on_hand(finger), np.array([width * 1.08, width, width * 0.8]) * size, skin)


def _stroke_round(canvas: Canvas, points: np.ndarray, widths: np.ndarray, colour: Colour) -> None:
    """Draw a stroke that looks round: darker at its edges, lighter along its middle."""
    for share, factor in ((1.0, 0.72), (0.86, 0.94), (0.6, 1.03), (0.28, 1.09)):
        canvas.stroke(points, widths * share, shade(colour, factor))


def draw_hair(canvas: Canvas, random: np.random.Generator) -> None:
    """Draw strands of hair that fall from above the forehead over the face, thin towards their ends."""
    colour, side = mix(random, _HAIR), random.choice([-1.0, 1.0])
    root = np.array([side * random.uniform(-0.3, 0.9), random.uniform(-1.9, -1.3)])
    tip = np.array([root[0] + side * random.uniform(-0.3, 0.7), random.uniform(0.0, 2.4)])
    bend = (root + tip) / 2 + (side * random.uniform(-0.2, 0.9), random.uniform(-0.5, 0.2))
    spread = random.uniform(0.05, 0.3)
    for _ in range(random.integers(4, 26)):
        start, pull, end = (point + random.normal(0.0, spread, 2) for point in (root, bend, tip))
        width = random.uniform(0.02, 0.09)
        tone = shade(colour, random.uniform(0.65, 1.3))
        canvas.stroke(curve(start, pull, end), np.linspace(width, 0.012, 12), tone)


def draw_microphone(canvas: Canvas, random: np.random.Generator) -> None:
    """Draw a microphone before the mouth or the chin: a meshed head, a ring, a handle that leaves the image below."""
    head = np.array([random.uniform(-0.7, 0.7), _MOUTH_BELOW_EYES + random.uniform(-0.1, 0.9)])
    angle = random.normal(0.0, 0.45)
    down = np.array([-math.sin(angle), math.cos(angle)])
    radius, metal = random.uniform(0.36, 0.48), mix(random, _METAL)
    body = mix(random, ((18, 18, 20), (60, 62, 68), (120, 24, 28)))
    neck, end = head + down * radius, head + down * (radius + random.uniform(2.4, 3.2))
    _stroke_round(canvas, np.stack([neck, end]), np.array([1.25, 0.85]) * radius, body)
    canvas.polygon(ellipse((head[0], head[1]), radius, radius * 1.05), shade(metal, 0.7))
    canvas.polygon(ellipse((head[0] - 0.06, head[1] - 0.06), radius * 0.8, radius * 0.85), metal)
    canvas.polygon(ellipse((head[0] - 0.12, head[1] - 0.13), radius * 0.4, radius * 0.42), shade(metal, 1.25))
    for turn in (angle + math.pi / 4, angle - math.pi / 4):
        _draw_mesh(canvas, head, radius, turn, shade(metal, 0.45))
    across = np.array([down[1], -down[0]])
    ring = head + down * radius * 0.8
    canvas.stroke(np.stack([ring - across * radius * 0.62, ring + across * radius * 0.62]), 0.13, shade(metal, 1.1))


def _draw_mesh(canvas: Canvas, head: np.ndarray, radius: float, angle: float, colour: Colour) -> None:
    """Draw parallel wires over a microphone's head, bulging as on a ball."""
    along, across = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    for place in np.linspace(-0.85, 0.85, 7):
        half = math.sqrt(1 - place**2) * radius * 0.97
        middle = head + across * radius * place
        bulge = head + across * radius * place * 1.25
        canvas.stroke(curve(middle - along * half, bulge, middle + along * half, points=6), 0.028, colour)


SHAPES: tuple[Callable[[Canvas, np.random.Generator], None], ...] = (
    draw_glasses,
    draw_hand,
    draw_hair,
    draw_microphone,
)
