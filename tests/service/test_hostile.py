"""Hostile requests over real sockets: each gets an answer, and the service continues."""

import io
import json
import math
import select
import struct
import zlib
from http.client import HTTPResponse

import httpx
import numpy as np
import pytest
from PIL import Image

PNG = {"Content-Type": "image/png"}
OCTETS = {"Content-Type": "application/octet-stream"}
MIB = 2**20


@pytest.fixture(scope="module")
def client(tiny):
    with tiny.client() as client:
        yield client


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def png(image):
    return encode(Image.fromarray(image))


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def build_png(width, height, *chunks):
    """A grey PNG by hand, whose chunks need not be true."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def build_part(name, data, filename=None, more=b""):
    file = b"" if filename is None else b'; filename="' + filename + b'"'
    head = b'--B\r\nContent-Disposition: form-data; name="' + name + b'"' + file
    return head + b"\r\n" + more + b"\r\n" + data + b"\r\n"


def post_form(client, path, body, content_type="multipart/form-data; boundary=B"):
    return client.post(path, content=body, headers={"Content-Type": content_type})


def read_answer(sock, method="GET"):
    answer = HTTPResponse(sock, method=method)
    answer.begin()
    content = answer.read()
    return httpx.Response(answer.status, headers=answer.getheaders(), content=content)


# --- images that are damaged, or lie ---


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"])
def test_half_an_image_is_refused_with_a_reason(client, image, kind, check_problem):
    data = encode(Image.fromarray(image), kind)
    answer = client.post("/v1/predict", content=data[: len(data) // 2], headers=OCTETS)
    detail = check_problem(answer, 422, "image_undecodable")
    assert detail.startswith("The image cannot be decoded: ")


def test_a_picture_that_claims_to_be_huge_is_refused_at_once(client, tiny, check_problem):
    claim = build_png(50_000, 50_000, chunk(b"IDAT", zlib.compress(b"\0" * 1000)))
    before = tiny.rss()
    answer = client.post("/v1/predict", content=claim, headers=PNG)
    assert tiny.rss() - before < 50 * MIB
    assert "2,500,000,000" in check_problem(answer, 413, "image_too_large")


def test_a_webp_canvas_that_claims_to_be_huge_is_refused(client, tiny, check_problem):
    side = (16_000 - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + side + side
    before = tiny.rss()
    claim = b"RIFF" + struct.pack("<I", len(body)) + body
    answer = client.post("/v1/predict", content=claim, headers=OCTETS)
    assert answer.status_code in (413, 422)
    assert tiny.rss() - before < 50 * MIB


def test_a_small_file_of_many_pixels_is_refused(client, check_problem):
    bomb = encode(Image.new("1", (8000, 7000)))
    assert len(bomb) < 100_000
    answer = client.post("/v1/predict", content=bomb, headers=PNG)
    assert "50,000,000" in check_problem(answer, 413, "image_too_large")


def test_data_beyond_the_last_row_is_never_inflated(client, tiny):
    bomb = build_png(8, 8, chunk(b"IDAT", zlib.compress(bytes(300 * MIB), 9)))
    before = tiny.rss()
    assert client.post("/v1/predict", content=bomb, headers=PNG).status_code in (200, 422)
    assert tiny.rss() - before < 100 * MIB


def test_a_text_chunk_that_inflates_does_not_fill_the_memory(client, tiny):
    text = b"Comment\0\0" + zlib.compress(bytes(300 * MIB), 9)
    rows = zlib.compress(bytes(9 * 8))
    bomb = build_png(8, 8, chunk(b"zTXt", text), chunk(b"IDAT", rows))
    before = tiny.rss()
    assert client.post("/v1/predict", content=bomb, headers=PNG).status_code in (200, 422)
    assert tiny.rss() - before < 100 * MIB


def test_a_jpeg_of_endless_passes_costs_nothing(client, check_problem):
    """Each further scan is 70 bytes, and as much work as the whole picture: minutes in all."""
    data = encode(Image.new("L", (4000, 3000), 128), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    bomb = data[:-2] + last * 5000 + b"\xff\xd9"
    answer = client.post("/v1/predict", content=bomb, headers=OCTETS)
    assert "scans" in check_problem(answer, 422, "image_undecodable")
    assert ask_size(client, data) == (3000, 4000)


def test_svg_is_another_media_type(client, check_problem):
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    answer = client.post("/v1/predict", content=svg, headers={"Content-Type": "image/svg+xml"})
    check_problem(answer, 415, "unsupported_media_type")
    answer = client.post("/v1/predict", content=svg, headers=OCTETS)
    check_problem(answer, 422, "image_undecodable")


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a=1;/*" + b"\0" * 30 + b"*/alert(1)//",
        b"GIF89a/*<html><script>alert(1)</script></html>*/=0",
        b"\xff\xd8\xff\xe0<?php system($_GET[0]); ?>",
        b"BM<script>alert(1)</script>" + b"\0" * 40,
        b"RIFF\x10\0\0\0WEBP<html></html>",
        b"II*\0\x08\0\0\0\xff\xff<html></html>",
        b"\0\0\0\x18ftypheic<html></html>",
        b"%PDF-1.7 \xff\xd8\xff",
    ],
)
def test_a_script_behind_an_image_signature_is_no_image(client, data, check_problem):
    answer = client.post("/v1/predict", content=data, headers=OCTETS)
    check_problem(answer, 422, "image_undecodable")


def test_a_zip_behind_a_photo_is_ignored(client, image):
    data = encode(Image.fromarray(image), "JPEG") + b"PK\x03\x04" + bytes(1000)
    answer = client.post("/v1/predict", content=data, headers=OCTETS)
    assert (answer.json()["height"], answer.json()["width"]) == (40, 60)


# --- images that are odd, and right ---


def ask(client, data):
    answer = client.post("/v1/predict", content=data, headers=OCTETS)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ask_size(client, data):
    body = ask(client, data)
    return body["height"], body["width"]


def test_a_jpeg_without_its_end_has_a_note(client, image):
    data = encode(Image.fromarray(image), "JPEG")
    assert ask(client, data)["notes"] == []
    [note] = ask(client, data[:-2])["notes"]
    assert "end-of-image" in note


@pytest.mark.parametrize("mode", ["CMYK", "L", "YCbCr"])
def test_a_jpeg_of_another_colour_space_is_read(client, image, mode):
    data = encode(Image.fromarray(image).convert(mode), "JPEG")
    assert ask_size(client, data) == (40, 60)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_a_png_of_every_mode_is_read(client, image, mode):
    photo = Image.fromarray(image).convert("RGBA")
    assert ask_size(client, encode(photo.convert(mode))) == (40, 60)


def test_a_palette_with_transparency_is_read(client, image):
    palette = Image.fromarray(image).quantize(16)
    assert ask_size(client, encode(palette, transparency=3)) == (40, 60)


def test_sixteen_bits_say_the_same_as_eight(client, image):
    grey = image[..., 0]
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    expected = ask(client, encode(Image.fromarray(grey)))["score_distribution"]
    assert ask(client, encode(deep))["score_distribution"] == expected


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_the_size_is_that_of_the_upright_photo(client, image, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(image), "JPEG", exif=exif)
    assert ask_size(client, data) == (60, 40)


@pytest.mark.parametrize(
    ("kind", "options"), [("GIF", {}), ("WebP", {"lossless": True}), ("PNG", {})]
)
def test_of_an_animation_the_first_frame_counts(client, kind, options):
    first = Image.new("RGB", (60, 40), "red")
    first.paste("blue", (5, 5, 25, 30))
    second = Image.new("RGB", (60, 40), "white")
    moving = encode(first, kind, save_all=True, append_images=[second], duration=100, **options)
    expected = ask(client, encode(first))["score_distribution"]
    assert ask(client, encode(second))["score_distribution"] != expected
    assert ask(client, moving)["score_distribution"] == expected


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 1)])
def test_the_thinnest_images_get_every_answer(client, size):
    data = encode(Image.new("RGB", size, "red"))
    assert ask_size(client, data) == size[::-1]
    for render in ("overlay", "heatmap", "map&bits=16"):
        headers = PNG | {"Accept": "image/png"}
        picture = client.post(f"/v1/predict?render={render}", content=data, headers=headers)
        drawn = Image.open(io.BytesIO(picture.content)).size
        largest = 1600 if render == "overlay" else 3000
        assert drawn == tuple(min(side, largest) for side in size)
    crops = client.post("/v1/crops", content=data, headers=PNG)
    assert crops.status_code == 200
    assert crops.json()["crops"]


# --- bodies ---


def test_a_long_body_is_refused_before_it_is_all_sent(tiny):
    """No Content-Length: 200 MB in chunks, of which the limit is 32."""
    piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    sent = 0
    with tiny.connect() as sock:
        sock.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        while sent < 200 * MIB and not select.select([sock], [], [], 0)[0]:
            sock.sendall(piece)
            sent += 0x10000
        answer = read_answer(sock)
    assert answer.status_code == 413
    assert answer.json()["code"] == "image_too_large"
    assert 32 * MIB < sent < 64 * MIB


@pytest.mark.parametrize("length", [33 * MIB, 10**17])
def test_a_length_beyond_the_limit_is_refused_before_the_body(tiny, length, check_problem):
    with tiny.connect() as sock:
        head = "POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n"
        sock.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
        check_problem(read_answer(sock), 413, "image_too_large")


@pytest.mark.parametrize("length", [b"-5", b"5.0", b"x", b"9" * 5000, b"5, 6"])
def test_a_length_that_is_no_number_is_a_bad_request(tiny, length):
    with tiny.connect() as sock:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n"
        sock.sendall(head + b"Content-Length: " + length + b"\r\n\r\n")
        assert read_answer(sock).status_code == 400


def test_two_framings_of_one_body_smuggle_nothing(tiny):
    with tiny.connect() as sock:
        sock.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
            b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert read_answer(sock).status_code == 400


def test_a_client_that_leaves_within_its_body_is_no_fault(client, tiny, wait_until):
    for _ in range(5):
        with tiny.connect() as sock:
            head = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
            sock.sendall(head + b"Content-Length: 1000\r\n\r\n" + bytes(500))
    wanted = 'saliency_requests_total{method="POST",route="/v1/predict",status="499"}'
    wait_until(lambda: wanted in client.get("/metrics").text)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",  # what `curl --data-binary` says
        "application/json",
        "text/plain",
        "multipart/mixed; boundary=B",
        "image/",
        "",
        None,
    ],
)
def test_another_content_type_is_refused_with_those_that_work(
    client, png, content_type, check_problem
):
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = client.post("/v1/predict", content=png, headers=headers)
    detail = check_problem(answer, 415, "unsupported_media_type")
    assert "multipart/form-data" in detail
    assert "image/jpeg" in detail


def test_a_raw_body_is_no_batch(client, png, check_problem):
    answer = client.post("/v1/predict/batch", content=png, headers=PNG)
    check_problem(answer, 415, "unsupported_media_type")


def test_nothing_is_no_image(client, check_problem):
    answer = client.post("/v1/predict", content=b"", headers=PNG)
    assert "0 bytes" in check_problem(answer, 400, "bad_request")


def test_an_empty_file_is_no_image(client, check_problem):
    answer = client.post("/v1/predict", files={"image": ("a.png", b"")})
    check_problem(answer, 422, "image_undecodable")


# --- forms ---


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "b" * 500,
        b"multipart/form-data; boundary=\xff\xfe",
        "multipart/form-data; boundary*=utf-8''B",
    ],
)
def test_a_form_without_a_boundary_is_refused(client, content_type, check_problem):
    answer = post_form(client, "/v1/predict", b"--B--\r\n", content_type)
    assert "boundary" in check_problem(answer, 400, "bad_request")


def test_a_form_with_another_boundary_is_refused(client, png, check_problem):
    body = build_part(b"image", png, b"a.png") + b"--B--\r\n"
    answer = post_form(client, "/v1/predict", body, "multipart/form-data; boundary=C")
    check_problem(answer, 400, "bad_request")


@pytest.mark.parametrize("cut", [0, 20, 90, 400, -30, -8])
def test_a_form_that_is_cut_off_is_refused(client, png, cut, check_problem):
    body = build_part(b"image", png, b"a.png") + b"--B--\r\n"
    check_problem(post_form(client, "/v1/predict", body[:cut]), 400, "bad_request")


def test_a_batch_that_is_cut_off_is_not_taken_for_a_shorter_one(client, png, check_problem):
    body = build_part(b"images", png, b"a.png") * 3
    check_problem(post_form(client, "/v1/predict/batch", body), 400, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        b"--B--\r\n",
        build_part(b"photo", b"x", b"a.png") + b"--B--\r\n",
        build_part(b"image", b"x") + b"--B--\r\n",
    ],
)
def test_a_form_without_the_file_is_refused(client, body, check_problem):
    detail = check_problem(post_form(client, "/v1/predict", body), 400, "bad_request")
    assert "`image`" in detail


@pytest.mark.parametrize(
    "head", [b"X: y\r\n", b"Content-Disposition: form-data\r\n", b"", b":\r\n"]
)
def test_a_part_without_a_name_is_refused(client, head, check_problem):
    answer = post_form(client, "/v1/predict", b"--B\r\n" + head + b"\r\nx\r\n--B--\r\n")
    check_problem(answer, 400, "bad_request")


def test_more_fields_than_anybody_needs_are_refused(client, png, check_problem):
    body = b"".join(build_part(b"f%d" % i, b"x") for i in range(30))
    answer = post_form(
        client, "/v1/predict", body + build_part(b"image", png, b"a.png") + b"--B--\r\n"
    )
    assert "20" in check_problem(answer, 413, "image_too_large")


def test_more_images_than_a_batch_takes_are_refused(client, png, check_problem):
    files = [("images", (f"{i}.png", png)) for i in range(17)]
    answer = client.post("/v1/predict/batch", files=files)
    assert "16" in check_problem(answer, 413, "too_many_images")


def test_two_images_where_one_is_asked_are_refused(client, png, check_problem):
    files = [("image", ("a.png", png)), ("image", ("b.png", png))]
    detail = check_problem(client.post("/v1/predict", files=files), 400, "too_many_images")
    assert "/v1/predict/batch" in detail


@pytest.mark.parametrize(
    "more", [b"X-A: " + b"a" * 2_000_000 + b"\r\n", b"X-A: a\r\n" * 100_000, b"X" * 2_000_000]
)
def test_huge_heads_of_parts_are_refused(client, png, more, check_problem):
    body = build_part(b"image", png, b"a.png", more) + b"--B--\r\n"
    check_problem(post_form(client, "/v1/predict", body), 400, "bad_request")


def test_a_field_as_long_as_a_photo_is_refused(client, png, check_problem):
    body = build_part(b"image", png, b"a.png") + build_part(b"boxes", b"[" * 300_000)
    answer = post_form(client, "/v1/regions", body + b"--B--\r\n")
    check_problem(answer, 400, "bad_request")


def test_megabytes_of_line_ends_around_a_form_cost_little(client, tiny, png):
    line_ends = b"\r\n" * 5_000_000
    body = line_ends + build_part(b"image", png, b"a.png") + b"--B--\r\n" + line_ends
    before = tiny.cpu_s()
    assert post_form(client, "/v1/predict", body).status_code == 200
    assert tiny.cpu_s() - before < 10


@pytest.mark.parametrize("charset", ["undefined", "unicode_escape", "utf-16", "no-such"])
def test_a_character_set_of_the_clients_changes_nothing(client, png, charset):
    body = build_part(b"images", png, rb"\ud800.png") + b"--B--\r\n"
    content_type = f"multipart/form-data; boundary=B; charset={charset}"
    answer = post_form(client, "/v1/predict/batch", body, content_type)
    assert answer.json()["results"][0]["name"] == r"\ud800.png"


def test_a_slow_codec_of_pythons_does_not_stop_the_service(client, tiny, check_problem):
    """Decoding these 250 kB as punycode takes Python seconds, in which nobody is answered."""
    body = build_part(b"boxes", b"a" * 1000 + b"-" + b"a" * 250_000) + b"--B--\r\n"
    before = tiny.cpu_s()
    content_type = "multipart/form-data; boundary=B; charset=punycode"
    check_problem(post_form(client, "/v1/regions", body, content_type), 400, "bad_request")
    assert tiny.cpu_s() - before < 2


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "a\0b.png",
        "a\x1b[31mb.png",
        "x" * 3000,
        "Fotos \N{LATIN SMALL LETTER U WITH DIAERESIS} \N{CAMERA}.png",
        "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
        "<script>alert(1)</script>",
        "CON",
        "",
    ],
)
def test_a_file_name_is_only_repeated(client, png, name):
    body = build_part(b"images", png, name.encode()) + b"--B--\r\n"
    [result] = post_form(client, "/v1/predict/batch", body).json()["results"]
    assert result["name"] == name
    assert result["error"] is None


@pytest.mark.parametrize(
    ("extended", "name"),
    [
        (b"UTF-8''na%C3%AFve%20%22a%22.png", 'na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve "a".png'),
        (b"iso-8859-1'en'caf%E9.png", "caf\N{LATIN SMALL LETTER E WITH ACUTE}.png"),
        (b"utf-8''a%5Cb.png", r"a\b.png"),
        (b"utf-8''", ""),
    ],
)
def test_a_part_whose_file_name_is_extended_alone_is_a_file(client, png, extended, name):
    head = b'Content-Disposition: form-data; name="images"; filename*=' + extended
    body = b"--B\r\n" + head + b"\r\n\r\n" + png + b"\r\n--B--\r\n"
    [result] = post_form(client, "/v1/predict/batch", body).json()["results"]
    assert (result["name"], result["error"]) == (name, None)


@pytest.mark.parametrize("kind", ["image/jpg", "image/pjpeg", "image/x-png"])
def test_old_names_of_media_types_are_understood(client, png, kind):
    answer = client.post("/v1/predict", content=png, headers={"Content-Type": kind})
    assert answer.status_code == 200


def test_a_file_name_with_a_line_end_is_repeated_as_sent(client, png):
    """Browsers and httpx send it as %0D%0A; in the raw it would end the head, which is refused."""
    [result] = client.post("/v1/predict/batch", files={"images": ("a\r\nb", png)}).json()["results"]
    assert "\n" not in result["name"]
    body = build_part(b"images", png, b"a\r\nb") + b"--B--\r\n"
    assert post_form(client, "/v1/predict/batch", body).status_code == 400


def test_a_file_name_is_no_path_to_write_to(client, png, tmp_path):
    planted = tmp_path / "planted.png"
    files = {"images": (str(planted), png)}
    assert client.post("/v1/predict/batch", files=files).status_code == 200
    assert list(tmp_path.iterdir()) == []


# --- boxes and crops ---


@pytest.mark.parametrize(
    "boxes",
    [
        "[[0, 0, NaN, 5]]",
        "[[0, 0, Infinity, 5]]",
        "[[-Infinity, 0, 5, 5]]",
        "[[0, 0, 1e999, 5]]",
        "[[0, 0, -5, 5]]",
        "[[0, 0, 0, 5]]",
        "[[0, 0, 1e-300, 1e-300]]",
        "[[1e308, 0, 1e308, 5]]",
        f"[[0, 0, {'9' * 400}, 5]]",
        f"[[0, 0, {'9' * 5000}, 5]]",
        '[["1", "2", "30", "30"]]',
        '["1234"]',
        '"1234"',
        "1234",
        "null",
        "[null]",
        "[[null, 0, 5, 5]]",
        "[[true, true, true, true]]",
        '[{"1": 0, "2": 0, "3": 0, "4": 0}]',
        '{"x": 1}',
        '[{"x": 1}]',
        '[{"name": 7, "x": 0, "y": 0, "width": 5, "height": 5}]',
        '[{"x": "0", "y": 0, "width": 5, "height": 5}]',
        "[[[0, 0, 5, 5]]]",
        "[[0, 0, 5]]",
        "[[0, 0, 5, 5, 5]]",
        "[[]]",
        "[]",
        "",
        "[[0, 0, 5, 5]",
        "[" * 100_000,
        "[[0,0,5,5]," * 20_000,
        '[["\\ud800", 0, 5, 5]]',
        json.dumps([[0, 0, 5, 5]] * 10_000),
        json.dumps([[0, 0, 5, 5]] * 1001),
        "[[60, 0, 5, 5]]",
    ],
    ids=lambda text: text[:30],
)
def test_boxes_that_are_none_are_refused(client, png, boxes, check_problem):
    form = {"files": {"image": ("a.png", png)}, "data": {"boxes": boxes}}
    detail = check_problem(client.post("/v1/regions", **form), 400, "bad_request")
    assert "box" in detail
    assert len(detail) < 400


@pytest.mark.parametrize(
    "box",
    ["nan,0,5,5", "0,0,inf,5", "0,0,-5,5", "0,0,5", "0,0,5,5,5", "", "a,b,c,d", "%FF,0,5,5", "%00"],
)
def test_a_box_in_the_query_that_is_none_is_refused(client, png, box, check_problem):
    answer = client.post(f"/v1/regions?box={box}", content=png, headers=PNG)
    check_problem(answer, 400, "bad_request")


def test_without_a_box_there_is_nothing_to_measure(client, png, check_problem):
    answer = client.post("/v1/regions", content=png, headers=PNG)
    assert "1 to 1000" in check_problem(answer, 400, "bad_request")


def test_a_name_of_a_box_that_is_no_text_of_utf8_is_repeated_as_an_escape(client, png):
    boxes = r'[{"name": "\ud800", "x": 0, "y": 0, "width": 5, "height": 5}]'
    form = {"files": {"image": ("a.png", png)}, "data": {"boxes": boxes}}
    [region] = client.post("/v1/regions", **form).json()["regions"]
    assert region["name"] == r"\ud800"


def test_a_thousand_boxes_are_measured(client, png):
    boxes = [[i % 50, i % 30, 5, 5] for i in range(1000)]
    form = {"files": {"image": ("a.png", png)}, "data": {"boxes": json.dumps(boxes)}}
    assert len(client.post("/v1/regions", **form).json()["regions"]) == 1000


def test_a_box_far_larger_than_the_photo_is_the_photo(client, png):
    form = {
        "files": {"image": ("a.png", png)},
        "data": {"boxes": "[[-1e300, -1e300, 1.7e308, 1.7e308]]"},
    }
    [region] = client.post("/v1/regions", **form).json()["regions"]
    assert region["box"] == {"x": 0, "y": 0, "width": 60, "height": 40}
    assert region["share"] == pytest.approx(1)


@pytest.mark.parametrize(
    "query",
    [
        "count=0",
        "count=-1",
        "count=11",
        "count=1000000",
        "count=x",
        "count=",
        "count=1.5",
        "count=nan",
        "count=" + "9" * 5000,
        "aspect=0:1",
        "aspect=1:0",
        "aspect=",
        "aspect=banana",
        "aspect=1:100",
        "aspect=-1:1",
        "aspect=nan",
        "aspect=inf:1",
        "aspect=" + "9" * 400 + ":" + "9" * 400,
        "aspect=%00",
        "&".join(["aspect=1:1"] * 11),
    ],
    ids=lambda text: text[:20],
)
def test_crops_out_of_range_are_refused(client, png, query, check_problem):
    answer = client.post(f"/v1/crops?{query}", content=png, headers=PNG)
    check_problem(answer, 400, "bad_request")


@pytest.mark.parametrize("query", ["render=x", "render=map&bits=9", "map=24", "map=", "bits=8.0"])
def test_pictures_of_another_kind_are_refused(client, png, query, check_problem):
    answer = client.post(f"/v1/predict?{query}", content=png, headers=PNG)
    check_problem(answer, 400, "bad_request")


# --- heads ---


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "GET", "OPTIONS"])
def test_another_method_is_refused_with_those_that_work(client, method, check_problem):
    answer = client.request(method, "/v1/predict")
    check_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_head_gets_the_head_of_a_problem(client):
    answer = client.head("/v1/predict")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.content == b""


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/v1",
        "/v1/predict/",
        "/redoc",
        "/v1//predict",
        "/v1/predict%00",
        "/v1/%2e%2e/healthz",
    ],
)
def test_an_unknown_path_is_not_found(client, path, check_problem):
    check_problem(client.post(path), 404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/..%5capp.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/....//app.py",
        "/static/%00",
        "/static/",
        "/static/" + "a" * 5000,
    ],
)
def test_nothing_outside_the_page_is_served(tiny, path, check_problem):
    with tiny.connect() as sock:  # httpx would tidy the path up
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        check_problem(read_answer(sock), 404, "not_found")


@pytest.mark.parametrize(
    "request_id", ["a b", "a\tb", "a;b", "x" * 129, b"\xe9", "<b>", "", "{}", '"', "%0d%0aA:b"]
)
def test_a_request_id_that_could_do_harm_is_replaced(client, request_id, check_problem):
    answer = client.get("/nope", headers={"X-Request-ID": request_id})
    check_problem(answer, 404, "not_found")
    assert len(answer.headers["x-request-id"]) == 32


def test_a_line_end_in_a_header_makes_no_header(tiny):
    with tiny.connect() as sock:
        head = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\n\rSet-Cookie: b=c\r\n\r\n"
        sock.sendall(head)
        assert "set-cookie" not in read_answer(sock).headers


@pytest.mark.parametrize(
    "accept",
    ["image/jpeg", "garbage", ";;;", ",", "*", "application/json;q=x", b"\xff\xfe", "a" * 5000],
    ids=lambda accept: repr(accept[:20]),
)
def test_what_nobody_can_answer_is_not_acceptable(client, png, accept, check_problem):
    answer = client.post("/v1/predict", content=png, headers=PNG | {"Accept": accept})
    assert "application/json" in check_problem(answer, 406, "not_acceptable")


def test_bytes_beyond_ascii_in_a_header_are_no_fault(client):
    answer = client.get("/healthz", headers={"X-Other": b"\xff\x80", "User-Agent": b"\xe9"})
    assert answer.status_code == 200


def test_an_endless_head_is_cut_short(tiny):
    """Read without a limit, it would fill the memory: 8 MB of one header that never ends."""
    with tiny.connect() as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: ")
        with pytest.raises(ConnectionError):  # noqa: PT012  # it closes after any of these
            for _ in range(800):
                sock.sendall(b"a" * 10_000)
            sock.recv(1)
            raise AssertionError("8 MB of a head were taken")


@pytest.mark.parametrize(
    "request_line",
    [
        b"garbage",
        b"GET",
        b"GET /healthz HTTP/1.1 extra",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
        b"GET /\xff HTTP/1.1",
        b"G\0T / HTTP/1.1",
        b"PRI * HTTP/9",
    ],
)
def test_after_a_garbled_request_the_service_goes_on(client, tiny, request_line):
    with tiny.connect() as sock:
        sock.sendall(request_line + b"\r\nHost: a\r\n\r\n")
        assert read_answer(sock).status_code == 400
    assert client.get("/healthz").status_code == 200


def test_an_offer_of_http_2_does_not_lose_the_body(tiny, png):
    """As `curl --http2` sends it; parsers that take every Upgrade for the end drop the photo."""
    head = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    with tiny.connect() as sock:
        sock.sendall(head + offer + b"Content-Length: %d\r\n\r\n" % len(png) + png)
        assert read_answer(sock).status_code == 200


def test_requests_in_a_pipeline_are_answered_in_order(tiny, png):
    post = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
    post += b"Content-Length: %d\r\n\r\n" % len(png) + png
    get = b"GET /nope HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with tiny.connect() as sock:
        sock.sendall(post + get + post + last)
        received = b"".join(iter(lambda: sock.recv(65536), b""))
    statuses = [part.split()[0] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200", b"200"]


def test_methods_that_clients_invent_do_not_grow_the_metrics(client, tiny):
    for i in range(20):
        with tiny.connect() as sock:
            sock.sendall(b"MADEUP%d /healthz HTTP/1.1\r\nHost: a\r\n\r\n" % i)
            assert read_answer(sock).status_code == 405
    metrics = client.get("/metrics").text
    assert 'method="(other)"' in metrics
    assert "MADEUP" not in metrics


def test_paths_that_clients_invent_do_not_grow_the_metrics(client):
    client.get("/nope-1")
    client.get("/static/nope-2")
    assert "nope" not in client.get("/metrics").text


def test_what_a_client_says_stays_on_its_line_of_the_log(client, tiny, wait_until):
    client.get("/x%0a2030-01-01%20ERROR%20forged%1b[31m%e2%80%a8%c2%85end")
    wait_until(lambda: "forged" in tiny.log())
    [line] = [line for line in tiny.log().splitlines() if "forged" in line]
    assert r"/x\n2030-01-01" in line
    assert line.isprintable()


def test_a_numbers_answer_is_json_to_the_letter(client, png):
    """Python reads and writes NaN; nobody else does."""

    def refuse(name):
        raise AssertionError(name)

    for data in (png, encode(Image.new("RGB", (1, 1)))):
        answer = client.post("/v1/predict", content=data, headers=PNG)
        body = json.loads(answer.text, parse_constant=refuse)
        assert math.isfinite(body["score"])


def test_none_of_this_left_a_traceback_in_the_log(client, tiny):
    assert client.get("/readyz").status_code == 200
    assert "Traceback" not in tiny.log()
    assert not [line for line in tiny.log().splitlines() if line.split()[2] == "ERROR"]
    metrics = client.get("/metrics").text
    assert 'status="500"' not in metrics
    assert "saliency_images_in_flight 0.0" in metrics
