"""Stars are written only where no rating exists, and no existing file is changed."""

import resource
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, PngImagePlugin

from saliency.sidecars import SidecarFolders, sidecar_of, write_rating

RATED = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
xmlns:xmp="http://ns.adobe.com/xap/1.0/" %s</rdf:Description></rdf:RDF></x:xmpmeta>"""
INSIDE = {
    "attribute": b'xmp:Rating="4">',
    "element": b"><xmp:Rating>4</xmp:Rating>",
    "rejected": b"xmp:Rating='-1'>",
}


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "my photo.jpg"
    Image.new("RGB", (8, 8)).save(path)
    return path


def read_stars(path):
    description = ElementTree.parse(path).find(".//{*}Description")  # noqa: S314  # our own
    return description.attrib["{http://ns.adobe.com/xap/1.0/}Rating"]


def test_a_sidecar_has_the_whole_name_of_its_photo(photo):
    assert sidecar_of(photo) == photo.parent / "my photo.jpg.xmp"


@pytest.mark.parametrize("stars", [1, 5])
def test_the_rating_is_that_of_xmp(photo, stars):
    assert write_rating(photo, stars) is None
    assert read_stars(sidecar_of(photo)) == str(stars)


def test_a_full_disk_leaves_no_part_of_a_sidecar(photo):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # as on a full disk
    try:
        with pytest.raises(OSError, match="too large"):
            write_rating(photo, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not sidecar_of(photo).exists()


def test_the_photo_stays_as_it_is(photo):
    before = photo.read_bytes()
    write_rating(photo, 3)
    assert photo.read_bytes() == before
    assert len(list(photo.parent.iterdir())) == 2


def test_the_same_rating_again_is_no_trouble(photo):
    write_rating(photo, 3)
    assert write_rating(photo, 3) is None


def test_another_rating_does_not_replace_the_first(photo):
    write_rating(photo, 3)
    assert write_rating(photo, 4) == f"{sidecar_of(photo)} exists"
    assert read_stars(sidecar_of(photo)) == "3"


@pytest.mark.parametrize(
    "name", ["my photo.jpg.xmp", "my photo.xmp", "my photo.JPG.XMP", "my photo.XMP", "MY PHOTO.Xmp"]
)
def test_a_sidecar_of_either_name_is_kept(photo, name):
    present = photo.with_name(name)
    present.write_text("edits of an evening")
    assert write_rating(photo, 4) == f"{present} exists"
    assert present.read_text() == "edits of an evening"
    assert len(list(photo.parent.iterdir())) == 2


@pytest.mark.parametrize("form", INSIDE.values(), ids=INSIDE)
def test_a_rating_inside_the_photo_is_not_hidden(photo, form):
    Image.new("RGB", (8, 8)).save(photo, xmp=RATED % form)
    assert write_rating(photo, 4) == f"{photo} has a rating inside"
    assert not sidecar_of(photo).exists()


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".heic"])
def test_a_rating_is_found_in_every_format(tmp_path, suffix):
    photo = tmp_path / f"photo{suffix}"
    packet = RATED % INSIDE["attribute"]
    image = Image.new("RGB", (64, 64))
    match suffix:
        case ".png":
            info = PngImagePlugin.PngInfo()
            info.add_itxt("XML:com.adobe.xmp", packet.decode())
            image.save(photo, pnginfo=info)
        case ".webp":
            image.save(photo, xmp=packet)
        case ".tif":
            image.save(photo, tiffinfo={700: packet})
        case ".heic":
            pillow_heif.from_pillow(image).save(photo, xmp=packet)
    assert write_rating(photo, 4) == f"{photo} has a rating inside"


@pytest.mark.parametrize("form", [b'xmp:Rating="0">', b'xmp:Label="Rating=4">'])
def test_other_metadata_inside_is_no_rating(photo, form):
    Image.new("RGB", (8, 8)).save(photo, xmp=RATED % form)
    assert write_rating(photo, 4) is None


def test_a_photo_that_is_gone_is_the_systems_error(photo):
    photo.rename(photo.with_name("gone.jpg"))
    with pytest.raises(OSError, match=r"my photo\.jpg"):
        write_rating(photo, 4)


def test_folders_are_listed_once_for_many_photos(photo, monkeypatch):
    folders = SidecarFolders()
    assert write_rating(photo, 3, folders) is None
    monkeypatch.setattr(type(photo), "iterdir", None)
    assert write_rating(photo, 4, folders) == f"{sidecar_of(photo)} exists"


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.XMP"])
def test_a_folder_or_a_broken_link_in_place_of_a_sidecar_is_left_alone(tmp_path, name):
    for number, make in enumerate((Path.mkdir, lambda path: path.symlink_to("nowhere"))):
        photo = tmp_path / str(number) / "a.jpg"
        photo.parent.mkdir()
        Image.new("RGB", (8, 8)).save(photo)
        make(photo.with_name(name))
        assert write_rating(photo, 4) == f"{photo.with_name(name)} exists"
