#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the sample picture: a lighthouse at dusk, 320x200, as it may be found in an old folder:
small, a little soft, noisy, and compressed hard.

    draw_sample.py [--clean scene.png] sample.jpg

Coordinates are pixels of the small picture; it is drawn FINE times larger and scaled down. Needs
Pillow, numpy and the DejaVu fonts."""
import argparse
import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 320, 200
FINE = 8  # drawn this many times larger
HORIZON = 121
SUN = (92, HORIZON)
LAMP = (247, 42.5)
INK = (34, 24, 48)
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"

rand = random.Random(7)

# --- drawing tools --------------------------------------------------------------------------------


def fine(points):
    return [(x * FINE, y * FINE) for x, y in points]


def curve(points, closed=False, steps=14):
    """A smooth line through the points (Catmull-Rom)."""
    n = len(points)
    at = (lambda i: points[i % n]) if closed else (lambda i: points[min(max(i, 0), n - 1)])
    out = []
    for i in range(n if closed else n - 1):
        p0, p1, p2, p3 = (np.array(at(i + k), float) for k in (-1, 0, 1, 2))
        for t in np.arange(steps) / steps:
            out.append(
                tuple(0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 +
                             (3 * p1 - p0 - 3 * p2 + p3) * t**3)))
    return out if closed else out + [tuple(points[-1])]


class Scene:
    def __init__(self, background):
        self.image = Image.fromarray(background)
        self.pen = ImageDraw.Draw(self.image)

    def line(self, points, colour=INK, width=0.9):
        points, thick = fine(points), max(1, round(width * FINE))
        self.pen.line(points, colour, thick, "curve")
        r = thick / 2 - 0.5
        for x, y in (points[0], points[-1]):  # round ends
            self.pen.ellipse((x - r, y - r, x + r, y + r), colour)

    def shape(self, points, fill, outline=INK, width=0.9):
        self.pen.polygon(fine(points), fill)
        if outline:
            self.line(list(points) + [points[0]], outline, width)

    def box(self, x0, y0, x1, y1, fill, outline=INK, width=0.9):
        self.shape([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, outline, width)

    def disc(self, x, y, r, fill):
        self.pen.ellipse([v * FINE for v in (x - r, y - r, x + r, y + r)], fill)

    def stencil(self, points):
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon(fine(points), 255)
        return mask

    def discs(self, discs, colour, mask_more=lambda a: a):
        """The union of discs (x, y, r), after mask_more has changed its mask."""
        mask = Image.new("L", self.image.size)
        pen = ImageDraw.Draw(mask)
        for x, y, r in discs:
            pen.ellipse([v * FINE for v in (x - r, y - r, x + r, y + r)], 255)
        mask = Image.fromarray(mask_more(np.array(mask)))
        self.image.paste(Image.new("RGB", self.image.size, colour), (0, 0), mask)

    def glaze(self, points, colour, opacity, blur=0.0, within=None, fade=None):
        """A translucent shape: with a soft edge, only within another shape, or fading over `fade`
        pixels from its first point."""
        mask = self.stencil(points)
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur * FINE))
        mask = np.asarray(mask) * opacity
        if within:
            mask = np.minimum(mask, np.asarray(self.stencil(within)))
        if fade:
            mask = mask * np.exp(-abs(np.arange(mask.shape[1]) / FINE - points[0][0]) / fade)
        mask = Image.fromarray(mask.astype(np.uint8))
        self.image.paste(Image.new("RGB", self.image.size, colour), (0, 0), mask)

    def glow(self, x, y, radius, colour, strength):
        """Adds light that fades with the distance."""
        a = np.asarray(self.image).astype(np.float32)
        yy, xx = np.mgrid[0:a.shape[0], 0:a.shape[1]].astype(np.float32) / FINE
        near = np.exp(-((xx - x)**2 + (yy - y)**2) / (2 * radius**2))[..., None] * strength
        a += (np.array(colour, np.float32) - a) * near
        self.image = Image.fromarray(a.clip(0, 255).astype(np.uint8))
        self.pen = ImageDraw.Draw(self.image)


def gradient(stops):
    """Rows of colour between the stops [(y, (r, g, b))], one for each fine row."""
    ys = np.arange(HEIGHT * FINE) / FINE
    return np.stack(
        [np.interp(ys, [y for y, _ in stops], [c[k] for _, c in stops]) for k in range(3)], 1)


# --- the parts of the scene, from far to near -----------------------------------------------------


def sky_and_sea():
    rows = gradient([(0, (30, 32, 84)), (35, (72, 54, 122)), (70, (158, 82, 136)),
                     (97, (238, 128, 112)), (HORIZON, (255, 190, 118)),
                     (HORIZON + 0.01, (232, 146, 116)), (140, (128, 92, 132)), (166, (48, 80, 124)),
                     (HEIGHT, (20, 48, 88))])
    return np.repeat(rows[:, None].round().astype(np.uint8), WIDTH * FINE, 1)


def stars(s):
    for _ in range(46):
        x, y = rand.uniform(4, 316), rand.uniform(3, 58)
        r = rand.choice((0.35, 0.4, 0.55))
        s.disc(x, y, r, (255, 246, 226))
    for x, y, r in ((36, 17, 2.6), (104, 34, 2.1), (168, 14, 2.8), (205, 41, 2.0), (297, 58, 2.2)):
        s.shape([(x, y - r), (x + r * 0.2, y - r * 0.2), (x + r, y), (x + r * 0.2, y + r * 0.2),
                 (x, y + r), (x - r * 0.2, y + r * 0.2), (x - r, y), (x - r * 0.2, y - r * 0.2)],
                (255, 250, 232), None)


def moon(s):
    s.glow(296, 24, 10, (190, 170, 220), 0.45)
    crescent = Image.new("L", s.image.size)
    pen = ImageDraw.Draw(crescent)
    for x, y, r, value in ((296, 24, 9, 255), (300.2, 20.8, 8, 0)):
        pen.ellipse([v * FINE for v in (x - r, y - r, x + r, y + r)], value)
    s.image.paste(Image.new("RGB", s.image.size, (255, 240, 200)), (0, 0), crescent)


def cloud(s, x, y, width, puffs, light, shade):
    """A bank of puffs on a flat base: all in shade, then the lit upper left of each."""
    local = random.Random(round(x * 31 + y))
    centres = []
    for i in range(puffs):
        t = (i + 0.5) / puffs
        r = width / puffs * (0.55 + 1.05 * math.sin(math.pi * t)) * local.uniform(0.8, 1.15)
        centres.append((x + width * (t - 0.5), y - r * 0.45, r))

    def flat_base(mask):
        mask[round(y * FINE):] = 0
        return mask

    s.discs(centres, shade, flat_base)
    s.discs([(cx - r * 0.2, cy - r * 0.24, r * 0.8) for cx, cy, r in centres], light, flat_base)
    s.discs([(cx + r * 0.35, cy + r * 0.75, r * 0.55) for cx, cy, r in centres[1:-1:2]], shade,
            flat_base)


def clouds(s):
    for x, y, w in ((30, 62, 70), (150, 54, 90), (62, 83, 64), (196, 80, 60), (130, 97, 52)):
        s.glaze(
            curve([(x - w / 2, y), (x - w / 5, y - 2), (x + w / 4, y - 1.2), (x + w / 2, y + 0.6),
                   (x + w / 6, y + 1.6), (x - w / 4, y + 1.4)],
                  closed=True), (255, 176, 150), 0.5, 0.3)
    cloud(s, 22, 108, 58, 8, (250, 176, 156), (186, 104, 140))
    cloud(s, 150, 112, 66, 9, (255, 190, 152), (208, 116, 132))
    cloud(s, 118, 71, 40, 7, (226, 132, 150), (150, 82, 138))
    cloud(s, 34, 45, 34, 6, (168, 100, 152), (108, 68, 130))


def sun(s):
    s.glow(*SUN, 44, (255, 214, 130), 0.75)
    s.disc(*SUN, 17, (255, 232, 158))
    s.disc(*SUN, 14.6, (255, 248, 208))
    # The sea hides the lower half.
    lower = np.asarray(s.image).copy()
    lower[HORIZON * FINE:] = sky_and_sea()[HORIZON * FINE:]
    s.image = Image.fromarray(lower)
    s.pen = ImageDraw.Draw(s.image)
    s.line([(0, HORIZON), (WIDTH, HORIZON)], (150, 84, 116), 0.6)


def headland(s):
    s.shape([(0, HORIZON), (0, 113.5)] + curve([(0, 113.5), (9, 112), (18, 115), (29, 115.5),
                                                (38, 118.6), (52, HORIZON)]), (122, 76, 124),
            (84, 50, 96), 0.6)


def waves(s):
    """Rows of crests that grow towards the viewer; the sun's path lies between them."""
    y = HORIZON + 2.2
    while y < HEIGHT + 6:
        depth = (y - HORIZON) / (HEIGHT - HORIZON)
        length, rise = 7 + 30 * depth, 0.35 + 2.9 * depth
        x = -rand.uniform(0, length)
        while x < WIDTH:
            span = length * rand.uniform(0.75, 1.35)
            crest = curve([(x, y + rise * 0.5), (x + span * 0.28, y - rise * 0.15),
                           (x + span * 0.52, y - rise), (x + span * 0.74, y - rise * 0.1),
                           (x + span, y + rise * 0.45)],
                          steps=8)
            if depth > 0.2:
                mix = lambda a, b: tuple(round(p + (q - p) * depth) for p, q in zip(a, b))
                s.shape(crest + [(x + span * 0.6, y + rise * 0.9)],
                        mix((120, 84, 132), (26, 62, 104)), None)
                s.line(crest, mix((72, 58, 108), (12, 30, 66)), 0.35 + 0.6 * depth)
                top = [(px, py - 0.35 - 0.75 * depth) for px, py in crest[6:24]]
                s.line(top, mix((255, 176, 140), (150, 196, 214)), 0.3 + 0.75 * depth)
            else:
                s.line(crest, (176, 106, 118), 0.45)
            x += span * rand.uniform(0.9, 1.5)
        y += 1.7 + 9.5 * depth
    for i in range(120):  # glitter
        t = rand.random()**1.4
        y = HORIZON + 1.2 + 62 * t
        x = SUN[0] + rand.gauss(0, 5 + 13 * t)
        half = rand.uniform(1.0, 3.2) * (0.6 + 1.5 * t)
        s.line([(x - half, y), (x + half, y)], (255, 226 - round(50 * t), 150), 0.45 + 0.6 * t)


def boat(s):
    """A cutter under sail, with shrouds, stays and a lit cabin."""
    s.shape(
        curve([(121, 141.5), (134, 143.2), (160, 143.2), (170, 141), (160, 146.5), (136, 147)],
              closed=True), (40, 50, 92), None)
    bow = curve([(171, 133), (166, 139), (161, 142.2)])
    keel = curve([(161, 142.2), (146, 143.2), (130, 142.2)])
    s.shape([(120, 133.5), (171, 133)] + bow + keel + [(124, 138)], (126, 44, 52))
    s.shape([(120.6, 135.6), (170, 135.2), (170.6, 133.2), (120, 133.6)], (246, 226, 196), INK, 0.6)
    s.box(133, 129.8, 147, 133.4, (226, 190, 146), INK, 0.7)
    for x in (135.5, 139.5, 143.5):
        s.disc(x + 0.6, 131.6, 0.95, (255, 236, 130))
    s.line([(149, 133), (149, 82)], (74, 44, 40), 1.5)
    leech = [(147.4, 85), (140, 105), (124, 127.6)]
    foot = [(124, 127.6), (136, 128.6), (147.6, 127.6)]
    s.shape(curve(leech) + curve(foot), (252, 232, 206))
    for t in (0.3, 0.5, 0.7, 0.88):
        y = 85 + 42.6 * t
        s.line([(147.4 - 20.5 * t**1.15, y + 0.6), (147.4, y)], (208, 164, 150), 0.5)
    stay = [(150.6, 87), (159, 108), (169, 129.6)]
    foot = [(169, 129.6), (160, 129.4), (151.2, 127)]
    s.shape([(150.6, 87)] + curve(stay) + curve(foot), (244, 204, 178))
    s.shape([(149, 82), (149, 78.6), (141.5, 80.2)], (222, 60, 62), INK, 0.6)
    s.line([(122.5, 129.2), (149, 129.2)], (74, 44, 40), 1.1)
    for a, b in (((149, 83), (171.5, 133)), ((149, 84), (121, 133.5)), ((149, 92), (143.4, 133.2)),
                 ((149, 92), (155.4, 133.2))):
        s.line([a, b], (52, 36, 52), 0.4)
    s.line(
        curve([(114, 143.6), (121, 142.2), (128, 144.6), (140, 145.2), (152, 144.4), (163, 145.2),
               (171, 142.4), (177, 143.8)]), (255, 232, 214), 0.9)


CLIFF = [(179, 200), (184, 191), (181, 181), (188, 172), (187, 160), (194, 150), (193, 139),
         (199, 132), (198, 125), (205, 119.5)]


def cliff(s):
    face = CLIFF + [(234, 117), (320, 116), (320, 200)]
    s.shape(face, (112, 78, 92))
    facets = {
        (176, 118, 112): [(205, 119.5), (198, 125), (199, 132), (207, 136), (213, 122)],
        (150, 100, 104): [(199, 132), (193, 139), (194, 150), (203, 153), (207, 136)],
        (162, 106, 106): [(194, 150), (187, 160), (188, 172), (199, 176), (203, 153)],
        (138, 92, 100): [(188, 172), (181, 181), (184, 191), (196, 196), (199, 176)],
        (112, 74, 92): [(184, 191), (179, 200), (202, 200), (196, 196)],
        (124, 84, 96): [(213, 122), (207, 136), (203, 153), (215, 158), (222, 138), (226, 121)],
        (100, 68, 88): [(203, 153), (199, 176), (196, 196), (211, 198), (215, 158)],
    }
    for colour, facet in facets.items():
        s.shape(facet, colour, (66, 42, 64), 0.6)
    for a, b, c in (((204, 141), (201, 147), (203, 151)), ((192, 158), (196, 164), (194, 170)),
                    ((208, 163), (205, 172), (208, 181)), ((190, 183), (194, 187), (192, 192)),
                    ((212, 127), (215, 131), (213, 136))):
        s.line(curve([a, b, c]), (66, 42, 64), 0.5)
    # The grass on top runs down to the lower right corner.
    edge = [(209, 202), (214, 186), (212, 172), (220, 158), (218, 146), (226, 135), (221, 128),
            (211, 126), (203, 120.2)]
    top = [(203, 120.2), (214, 116.6), (236, 114.4), (262, 114), (290, 113.2), (322, 112)]
    grass = curve(top) + [(322, 202), (209, 202)] + curve(edge)
    s.shape(grass, (64, 92, 84))
    s.glaze([(203, 112), (322, 106), (322, 124), (226, 128), (203, 126)], (170, 132, 96), 0.55, 2.0,
            grass)
    s.glaze([(240, 176), (322, 150), (322, 202), (214, 202)], (26, 48, 66), 0.6, 6, grass)
    for _ in range(120):  # blades
        x, y = rand.uniform(216, 320), rand.uniform(122, 199)
        if x > 222 - (y - 128) * 0.12:
            lean = rand.uniform(-0.8, 0.8)
            s.line([(x, y), (x + lean, y - rand.uniform(1.4, 3.2))],
                   rand.choice(((96, 124, 96), (40, 66, 72), (130, 132, 100))), 0.5)


def path(s):
    left = curve([(262, 202), (270, 184), (285, 170), (286, 156), (276, 144), (277, 132),
                  (289, 118.5)])
    right = curve([(296, 118.5), (287, 132), (287, 142), (299, 155), (300, 173), (290, 187),
                   (286, 202)])
    s.shape(left + right, (206, 168, 136), (78, 58, 68), 0.8)
    for _ in range(34):
        i = rand.randrange(len(left))
        t, p, q = rand.uniform(0.15, 0.85), left[i], right[len(right) - 1 - i]
        x, y = p[0] + (q[0] - p[0]) * t, p[1] + (q[1] - p[1]) * t
        s.line([(x - 0.9, y), (x + 0.9, y)], (164, 124, 108), 0.7)


def surf(s):
    """Foam where the sea meets the cliff."""
    puffs = [(157, 201.4, 2.2), (162, 200.4, 3.0), (168, 199, 3.6), (174, 196.8, 4.2),
             (180, 193.4, 4.4), (185, 190.4, 3.4), (188.4, 194.6, 4.0), (183, 199, 5.0),
             (191, 199.4, 4.6), (197, 201, 3.4), (203, 202, 2.6), (181.6, 186.6, 2.2)]
    s.discs([(x, y, r + 0.8) for x, y, r in puffs], (72, 92, 140))
    s.discs(puffs, (178, 206, 222))
    s.discs([(x - r * 0.12, y - r * 0.22, r * 0.78) for x, y, r in puffs], (250, 246, 240))
    for x, y, r in ((173, 187, 0.9), (176.6, 181.6, 0.75), (168, 191.4, 0.7), (180, 177, 0.65),
                    (163, 194.6, 0.6), (171, 182.6, 0.5), (186.4, 183.6, 0.6)):
        s.disc(x, y, r, (252, 244, 238))


def lighthouse(s):
    x, base, top = LAMP[0], 116, 52

    def half(y):  # half the tower's width: it widens like a trumpet at the foot
        t = (y - top) / (base - top)
        return 8.2 + 4.2 * t + 1.8 * t**5

    def wall(y0, y1, u0=-1.0, u1=1.0):
        ys = np.linspace(y0, y1, 12)
        sag = 1.0  # rings are seen a little from below
        ring = lambda y, us: [(x + half(y) * u, y + sag * (1 - u * u)) for u in us]
        return ([(x + half(y) * u0, y + sag * (1 - u0 * u0))
                 for y in ys] + ring(y1, np.linspace(u0, u1, 12)) +
                [(x + half(y) * u1, y + sag * (1 - u1 * u1))
                 for y in ys[::-1]] + ring(y0, np.linspace(u1, u0, 12)))

    edges = np.linspace(top, base, 8)
    for i in range(7):
        s.shape(wall(edges[i], edges[i + 1]), ((206, 58, 56), (250, 236, 218))[i % 2], None)
    s.glaze(wall(top, base, 0.05, 1), (70, 44, 96), 0.36)
    s.glaze(wall(top, base, 0.5, 1), (52, 34, 88), 0.34)
    s.glaze(wall(top, base, -0.86, -0.62), (255, 250, 230), 0.6, 0.3)
    for i in range(1, 7):
        s.line([(x + half(edges[i]) * u, edges[i] + 1 - u * u) for u in np.linspace(-1, 1, 12)],
               (112, 50, 66), 0.5)
    s.line(wall(top, base) + wall(top, base)[:1])
    for y in (63.5, 81.5):  # windows of the stairs
        s.shape([(x - 3.6, y + 5)] + curve([(x - 3.6, y + 1.4), (x - 1.8, y - 0.8),
                                            (x, y + 1.4)]) + [(x, y + 5)], (255, 220, 120), INK,
                0.8)
        s.line([(x - 1.8, y), (x - 1.8, y + 5)], INK, 0.5)
        s.line([(x - 3.6, y + 2.4), (x, y + 2.4)], INK, 0.5)
    s.shape([(x - 4.6, base + 1), (x - 4.6, 107)] + curve([(x - 4.6, 107), (x - 1.6, 103.4),
                                                           (x + 1.4, 107)]) + [(x + 1.4, base + 1)],
            (92, 56, 52))
    s.line([(x - 1.6, 104), (x - 1.6, base + 0.6)], (56, 32, 40), 0.5)
    s.disc(x - 0.2, 111, 0.6, (250, 210, 120))
    # Gallery: brackets, deck, railing.
    for u in (-8, -3, 2, 7):
        s.line([(x + u, top + 2.6), (x + u * 1.32, top - 1.2)], (60, 40, 62), 0.9)
    s.box(x - 12.6, top - 3, x + 12.6, top - 0.4, (92, 74, 108))
    # Lantern room.
    s.box(x - 6.6, 36.6, x + 6.6, top - 3, (255, 238, 150))
    for u in (-3.3, 0, 3.3):
        s.line([(x + u, 36.6), (x + u, top - 3)], (92, 62, 70), 0.6)
    s.line([(x - 6.6, 42.6), (x + 6.6, 42.6)], (92, 62, 70), 0.6)
    for u in np.linspace(-12, 12, 9):
        s.line([(x + u, top - 2.8), (x + u, top - 8.2)], INK, 0.55)
    s.line([(x - 12.4, top - 8.2), (x + 12.4, top - 8.2)], INK, 0.75)
    s.line([(x - 12.4, top - 5.6), (x + 12.4, top - 5.6)], INK, 0.45)
    s.shape([(x - 8.6, 37)] + curve([(x - 8.6, 37), (x - 5.4, 31.4), (x, 28.8), (x + 5.4, 31.4),
                                     (x + 8.6, 37)]), (190, 52, 54))
    s.glaze([(x + 1, 28), (x + 9, 28), (x + 9, 37), (x + 3, 37)], (60, 30, 80), 0.4, 0.3,
            [(x - 8.6, 37)] + curve([(x - 8.6, 37), (x - 5.4, 31.4), (x, 28.8), (x + 5.4, 31.4),
                                     (x + 8.6, 37)]))
    s.line([(x, 29), (x, 21)], INK, 0.8)
    s.disc(x, 27, 1.5, INK)
    s.shape([(x - 5, 23.2), (x + 3, 22.4), (x + 3, 21), (x + 5.6, 23.2), (x + 3, 25.2),
             (x + 3, 24)], INK, None)


def house(s):
    s.shape([(282, 117), (282, 97), (314, 96.4), (314, 116.4)], (238, 214, 188))
    s.glaze([(302, 97), (314, 97), (314, 117), (302, 117)], (88, 52, 100), 0.35, 1.6)
    s.box(304, 78, 309.5, 92, (150, 88, 84))
    s.box(303.2, 76.6, 310.3, 79, (122, 70, 76), INK, 0.7)
    s.shape([(278, 98.4), (288, 82.4), (311, 81.8), (319, 97.6)], (96, 66, 106))
    for k in range(1, 4):  # rows of slates
        t = k / 4
        y = 82.2 + 16 * t
        s.line([(288 - 10 * t, y), (311 + 8 * t, y - 0.5)], (62, 42, 78), 0.5)
        for i in range(7):
            px = 288 - 10 * t + (23 + 18 * t) * (i + 0.5 * (k % 2) + 0.3) / 7
            s.line([(px, y), (px - 0.5 + 0.16 * i, y - 3.6)], (62, 42, 78), 0.45)
    for x in (285.5, 305):
        s.box(x, 101.4, x + 6.4, 109.2, (255, 222, 122), (84, 48, 48), 0.8)
        s.line([(x + 3.2, 101.4), (x + 3.2, 109.2)], (84, 48, 48), 0.6)
        s.line([(x, 105.2), (x + 6.4, 105.2)], (84, 48, 48), 0.6)
        s.box(x - 0.8, 109.2, x + 7.2, 110.6, (196, 70, 62), (84, 48, 48), 0.5)
    s.shape([(294.6, 117), (294.6, 104)] + curve([(294.6, 104), (297.8, 101),
                                                  (301, 104)]) + [(301, 117)], (70, 96, 110))
    s.disc(299.6, 110, 0.55, (250, 220, 140))
    for i, (dx, dy, r) in enumerate(
        ((0, 0, 1.8), (1.8, -4.4, 2.3), (0.8, -9.4, 2.8), (3.6, -14.6, 3.2))):
        s.glaze([(306.8 + dx + r * math.cos(a), 73.4 + dy + r * math.sin(a))
                 for a in np.arange(0, 6.3, 0.3)], (226, 196, 206), 0.62 - 0.1 * i, 0.3)


def fence(s):
    """Posts along the edge with two ropes that hang between them."""
    posts = [(207.5, 121), (218.5, 129), (223, 139), (219.5, 150.5), (220.5, 163), (214.5, 176),
             (216.5, 191)]
    for a, b in zip(posts, posts[1:]):
        for drop in (1.4, 4.6):
            mid = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2 - 8 + drop + 2.2)
            s.line(curve([(a[0], a[1] - 8 + drop), mid, (b[0], b[1] - 8 + drop)]), (244, 214, 168),
                   0.95)
    for x, y in posts:
        s.box(x - 1.3, y - 8.4, x + 1.3, y + 0.6, (150, 102, 84), INK, 0.7)


def sign(s):
    for x in (234, 264):
        s.box(x - 1.5, 138, x + 1.5, 178, (122, 80, 70), INK, 0.8)
    s.shape([(226, 141), (272, 140), (278, 152.4), (272.2, 164.4), (226.6, 165)], (240, 210, 158))
    s.line([(228, 143), (271, 142.2)], (255, 234, 192), 0.8)
    s.line([(228, 163), (271.4, 162.4)], (196, 150, 108), 0.8)
    font = ImageFont.truetype(FONT, round(10.4 * FINE))
    for y, word in ((147.6, "CAPE"), (157.6, "UPRES")):
        s.pen.text((250.4 * FINE, y * FINE), word, (84, 30, 42), font, "mm")
    for x, y in ((230, 179), (237, 180), (259, 179), (268, 180), (226, 177)):
        for lean in (-1.6, -0.4, 0.9):
            s.line([(x, y), (x + lean, y - 4)], (108, 138, 100), 0.6)


def beams(s):
    x, y = LAMP
    for end, lo, hi in ((-30, 18, 66), (350, 22, 58)):
        s.glaze([(x, y - 1.8), (end, lo), (end, hi), (x, y + 1.8)], (255, 236, 170), 0.5, 0.8, None,
                150)
        mid = (lo + hi) / 2
        s.glaze([(x, y - 0.8), (end, mid - 9), (end, mid + 9), (x, y + 0.8)], (255, 248, 214), 0.5,
                2.0, None, 120)


def gulls(s):
    for x, y, r in ((176, 76, 6.5), (190, 89, 4.6), (70, 66, 5.2), (56, 76, 3.6), (201, 66, 3.6)):
        s.line(
            curve([(x - r, y - r * 0.18), (x - r * 0.55, y - r * 0.5), (x, y),
                   (x + r * 0.5, y - r * 0.58), (x + r, y - r * 0.3)]), (250, 240, 236), 1.35)
        s.line(curve([(x - r * 0.2, y - r * 0.06), (x, y + r * 0.06), (x + r * 0.24, y - r * 0.2)]),
               INK, 0.7)


def draw():
    s = Scene(sky_and_sea())
    stars(s)
    moon(s)
    clouds(s)
    sun(s)
    headland(s)
    waves(s)
    beams(s)
    boat(s)
    cliff(s)
    surf(s)
    path(s)
    house(s)
    lighthouse(s)
    s.glow(LAMP[0], LAMP[1], 9, (255, 246, 190), 0.75)
    fence(s)
    sign(s)
    gulls(s)
    return s.image


def age(image):
    """What years do to a picture: scaled down softly, noise of a sensor, a hard JPEG."""
    small = image.filter(ImageFilter.GaussianBlur(0.36 * FINE)).resize((WIDTH, HEIGHT), Image.BOX)
    noise = np.random.default_rng(1).normal(0, 3.2, (HEIGHT, WIDTH, 3))
    return Image.fromarray((np.asarray(small) + noise).round().clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clean", help="also the drawing itself, four times as large, as PNG")
    parser.add_argument("output")
    options = parser.parse_args()
    scene = draw()
    if options.clean:
        scene.resize((4 * WIDTH, 4 * HEIGHT), Image.LANCZOS).save(options.clean)
    age(scene).save(options.output, quality=72, subsampling=2)
