"""A rating counts in whatever way it was written, and what is none does not."""

import pillow_heif
import pytest
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
