"""A rating counts in whatever way it was written, and what is none does not."""

import struct
import zlib

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from saliency.embedded_ratings import is_rated

XAP, MICROSOFT = "http://ns.adobe.com/xap/1.0/", "http://ns.microsoft.com/photo/1.0/"
RATING, RATING_PERCENT = 0x4746, 0x4749


def packet(inside, prefix="xmp", namespace=XAP):
    declared = f'xmlns:{prefix}="{namespace}"' if prefix else f'xmlns="{namespace}"'
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        f'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description {declared} {inside}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def save(path, xmp="", **options):
    Image.new("RGB", (8, 8)).save(path, xmp=xmp.encode(), **options)
    return path


@pytest.mark.parametrize(
    ("inside", "prefix", "namespace"),
    [
        ('xmp:Rating="4">', "xmp", XAP),
        ("xap:Rating='4'>", "xap", XAP),
        ("><a.b-c:Rating>4</a.b-c:Rating>", "a.b-c", XAP),
        ("><xmp:Rating rdf:datatype='x'> 4 </xmp:Rating>", "xmp", XAP),
        ('><xmp:Rating rdf:parseType="Resource"><rdf:value>4</rdf:value></xmp:Rating>', "xmp", XAP),
        ("><Rating>4</Rating>", "", XAP),
        ('\n xmp:Rating\n=\n"4.0">', "xmp", XAP),
        ('xmp:Rating="-1">', "xmp", XAP),
        ('MicrosoftPhoto:Rating="25">', "MicrosoftPhoto", MICROSOFT),
        ("><ms:Rating>99</ms:Rating>", "ms", MICROSOFT),
        ('acdsee:rating="3">', "acdsee", "http://ns.acdsee.com/iptc/1.0/"),
    ],
)
def test_xmp_is_read_by_its_namespace(tmp_path, inside, prefix, namespace):
    assert is_rated(save(tmp_path / "a.jpg", packet(inside, prefix, namespace)))


@pytest.mark.parametrize(
    ("inside", "namespace"),
    [
        ('xmp:Rating="0">', XAP),
        ('xmp:Rating="">', XAP),
        ("><xmp:Rating>0</xmp:Rating>", XAP),
        ("><xmp:Rating/>", XAP),
        ('xmp:Label="Rating=4">', XAP),
        ('xmp:RatingScale="5">', XAP),
        ('xmp:Rating="4">', "http://example.com/of/films/"),
    ],
)
def test_no_rating_and_the_ratings_of_others_do_not_count(tmp_path, inside, namespace):
    assert not is_rated(save(tmp_path / "a.jpg", packet(inside, namespace=namespace)))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".heic", ".avif"])
@pytest.mark.parametrize("tag", [RATING, RATING_PERCENT])
def test_exif_ratings_count_in_every_format(tmp_path, suffix, tag):
    for value in (2, 0):
        exif = Image.Exif()
        exif[tag] = value
        path = tmp_path / f"{value}{suffix}"
        if suffix == ".heic":
            pillow_heif.from_pillow(Image.new("RGB", (64, 64))).save(path, exif=exif.tobytes())
        else:
            save(path, exif=exif)
        assert is_rated(path) == (value > 0)


@pytest.mark.parametrize("is_packed", [False, True])
def test_international_text_of_a_png_counts(tmp_path, is_packed):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet('xmp:Rating="2">'), zip=is_packed)
    assert is_rated(save(tmp_path / "a.png", pnginfo=info))


def test_raw_profiles_of_a_png_count(tmp_path):
    text = packet('xmp:Rating="2">').encode()
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type xmp", f"\nxmp\n{len(text):8}\n{text.hex()}\n", zip=True)
    assert is_rated(save(tmp_path / "a.png", pnginfo=info))


def test_sixteen_bit_xmp_counts(tmp_path):
    path = save(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + packet('xmp:Rating="2">').encode("utf-16-le"))
    assert is_rated(path)


def test_damaged_metadata_and_no_image_at_all_are_no_rating(tmp_path):
    assert not is_rated(save(tmp_path / "a.jpg", exif=b"Exif\0\0no exif"))
    (tmp_path / "b.jpg").write_bytes(b"no image")
    assert not is_rated(tmp_path / "b.jpg")


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def rated_exif():
    exif = Image.Exif()
    exif[RATING] = 2
    return exif


@pytest.mark.parametrize("name", [b"iTXt", b"zTXt"])
@pytest.mark.parametrize("is_late", [False, True])
def test_a_long_text_does_not_hide_the_exif_of_a_png(tmp_path, name, is_late):
    path = save(tmp_path / "a.png", exif=rated_exif())
    data = path.read_bytes()
    inside = {b"iTXt": b"a\0\1\0\0\0", b"zTXt": b"a\0\0"}[name] + zlib.compress(bytes(2 * 2**20))
    start = data.index(b"eXIf") - 4
    end = start + 12 + struct.unpack_from(">I", data, start)[0]
    exif, data = data[start:end], data[:start] + data[end:]
    head, rest, tail = data[:33], data[33:-12], data[-12:]
    parts = (head, chunk(name, inside), rest, exif, tail)
    path.write_bytes(b"".join(parts if is_late else (*parts[:2], exif, rest, tail)))
    assert is_rated(path)


@pytest.mark.parametrize("keyword", ["exif", "APP1"])
def test_raw_exif_of_a_png_counts(tmp_path, keyword):
    data = rated_exif().tobytes()
    info = PngImagePlugin.PngInfo()
    info.add_text(
        f"Raw profile type {keyword}", f"\n{keyword}\n{len(data):8}\n{data.hex()}\n", zip=True
    )
    assert is_rated(save(tmp_path / "a.png", pnginfo=info))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f2", "f4"])
def test_ratings_count_in_tiffs_that_pillow_does_not_open(tmp_path, byteorder, bigtiff, dtype):
    for value in (0, 2):
        path = tmp_path / f"{value}.tif"
        tags = [(RATING, "H", 1, value, True)]
        samples = np.zeros((8, 8), dtype)
        tifffile.imwrite(path, samples, byteorder=byteorder, bigtiff=bigtiff, extratags=tags)
        assert is_rated(path) == (value > 0)


def test_a_rating_of_the_page_after_a_thumbnail_counts(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((2, 2), np.uint8), subfiletype=1)
        file.write(np.zeros((8, 8), np.uint8), extratags=[(RATING, "H", 1, 2, True)])
    assert is_rated(tmp_path / "a.tif")


def test_a_rating_in_the_folder_of_exif_counts(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[RATING] = 2
    assert is_rated(save(tmp_path / "a.jpg", exif=exif))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_xmp_counts_without_its_outer_element(tmp_path, encoding):
    text = packet('xmp:Rating="2">').partition("<rdf:RDF")
    path = save(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + "".join(text[1:]).encode(encoding))
    assert is_rated(path)


@pytest.mark.parametrize(("value", "expected"), [("2", True), ("0", False)])
def test_a_value_as_attribute_of_the_element_counts(tmp_path, value, expected):
    inside = f'><xmp:Rating rdf:value="{value}"/>'
    assert is_rated(save(tmp_path / "a.jpg", packet(inside))) == expected


@pytest.mark.parametrize("cut", ["xap/", "xmp:Ra", ">2"])
def test_a_long_xmp_in_parts_counts(tmp_path, cut):
    text = packet("><xmp:Rating>2</xmp:Rating>").encode()
    middle = text.index(cut.encode()) + len(cut)
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">I", len(text))
    parts = [
        head + struct.pack(">I", start) + part
        for start, part in ((0, text[:middle]), (middle, text[middle:]))
    ]
    path = save(tmp_path / "a.jpg")
    data = path.read_bytes()
    inside = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
    path.write_bytes(data[:2] + inside + data[2:])
    assert is_rated(path)
