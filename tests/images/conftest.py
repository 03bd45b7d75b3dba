"""ICC profiles, written here: none ships with Pillow but sRGB."""

import struct

import numpy as np
import pytest

D50 = (0.9642, 1.0, 0.8249)
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
D65_XY = (0.3127, 0.3290)

SPACES = {
    # primaries x, y of red, green, blue; white; exponent, None: sRGB's curve
    "srgb": (((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65_XY, None),
    "display_p3": (((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), D65_XY, None),
    "adobe_rgb": (((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65_XY, 2.19921875),
    "prophoto": (((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), (0.3457, 0.3585), 1.8),
    "linear": (((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65_XY, 1.0),
}


def to_linear(encoded, exponent):
    if exponent is not None:
        return encoded**exponent
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def to_encoded(linear, exponent):
    if exponent is not None:
        return linear ** (1 / exponent)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def to_xyz(x, y):
    return np.array([x / y, 1, (1 - x - y) / y])


def matrix_of(primaries, white):
    """Linear RGB -> XYZ as profiles have it, adapted to D50."""
    columns = np.stack([to_xyz(*xy) for xy in primaries], axis=1)
    columns = columns * np.linalg.solve(columns, to_xyz(*white))
    cones = BRADFORD @ np.array(D50) / (BRADFORD @ to_xyz(*white))
    return np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD @ columns


def fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))


def curve(exponent):
    if exponent is None:
        points = to_linear(np.linspace(0, 1, 1024), None)
        numbers = np.round(points * 65535).astype(">u2").tobytes()
        return b"curv\0\0\0\0" + struct.pack(">I", 1024) + numbers
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256))


def text(words):
    data = words.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(data)) + data + bytes(78)


def assemble(kind, space, connection, tags):
    """A profile of version 2: header, directory, tags."""
    directory, bodies = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        directory += struct.pack(">4sII", name, start + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    header = struct.pack(
        ">I4sI4s4s4s", start + len(bodies), b"test", 0x02400000, kind, space, connection
    )
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*D50)
    return header.ljust(128, b"\0") + directory + bodies


def build_rgb(primaries, white, exponent):
    red, green, blue = matrix_of(primaries, white).T
    tags = {b"desc": text("made for a test"), b"cprt": b"text\0\0\0\0none\0"}
    tags |= {b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50)}
    for name, column in ((b"r", red), (b"g", green), (b"b", blue)):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + fixed(*column)
        tags[name + b"TRC"] = curve(exponent)
    return assemble(b"mntr", b"RGB ", b"XYZ ", tags)


def build_grey(exponent):
    tags = {b"desc": text("made for a test"), b"cprt": b"text\0\0\0\0none\0"}
    tags |= {b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50), b"kTRC": curve(exponent)}
    return assemble(b"mntr", b"GRAY", b"XYZ ", tags)


def to_lab(xyz):
    ratio = xyz / np.array(D50)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    fx, fy, fz = np.moveaxis(f, -1, 0)
    return np.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=-1)


def build_cmyk():
    """Inks as in `to_inks`, whose colours are sRGB's: a table of 9 steps each to Lab."""
    steps = np.linspace(0, 1, 9)
    inks = np.stack(np.meshgrid(steps, steps, steps, steps, indexing="ij"), axis=-1)
    rgb = (1 - inks[..., :3] ** 1.5) * (1 - inks[..., 3:])
    primaries, white, _ = SPACES["srgb"]
    lab = to_lab(to_linear(rgb, None) @ matrix_of(primaries, white).T)
    table = np.stack([lab[..., 0] / 100 * 255, lab[..., 1] + 128, lab[..., 2] + 128], axis=-1)
    identity = bytes(range(256))
    body = b"mft1\0\0\0\0" + bytes([4, 3, 9, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    body += identity * 4 + np.round(table.clip(0, 255)).astype(np.uint8).tobytes() + identity * 3
    tags = {b"desc": text("made for a test"), b"cprt": b"text\0\0\0\0none\0"}
    tags |= {b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50), b"A2B0": body, b"A2B1": body}
    return assemble(b"prtr", b"CMYK", b"Lab ", tags)


class Profiles:
    """Profiles by name, and the numbers that show an sRGB picture's colours in each."""

    names = ("display_p3", "adobe_rgb", "prophoto", "linear")

    def build(self, name):
        if name == "cmyk":
            return build_cmyk()
        return build_grey(1.0) if name == "linear_grey" else build_rgb(*SPACES[name])

    def encode(self, srgb, name):
        """Return an sRGB picture (H, W, 3), 0..1, in the numbers of a profile, 0..1."""
        if name == "linear_grey":
            return to_linear(srgb[..., 0], None)
        if name == "cmyk":
            black = 1 - srgb.max(axis=-1, keepdims=True)
            rest = srgb / np.maximum(1 - black, 1e-9)
            return np.concatenate([(1 - rest).clip(0, 1) ** (1 / 1.5), black], axis=-1)
        primaries, white, exponent = SPACES[name]
        xyz = to_linear(srgb, None) @ matrix_of(*SPACES["srgb"][:2]).T
        linear = xyz @ np.linalg.inv(matrix_of(primaries, white)).T
        return to_encoded(linear.clip(0, 1), exponent)


@pytest.fixture(scope="session")
def profiles():
    return Profiles()
