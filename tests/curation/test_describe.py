import re
import shutil

import numpy as np
import pytest

from saliency.curation.describe import DENSITY_SIZE, describe, open_set
from saliency.curation.pack import open_source, pack
from saliency.curation.page import to_charts, write_page
from saliency.datasets.config import SetConfig
from saliency.errors import DatasetError


def test_counts_and_sizes_of_fixations(osie_copy):
    found = describe(open_set(osie_copy(), limit=0))
    assert (found.name, found.layout, found.packed) == ("osie", "osie", False)
    assert found.images == sum(found.parts.values()) == found.looked == 6
    assert found.sizes.count((600, 800)) == 5
    assert found.fixations == [60] * 6
    assert found.scores == found.votes == []


def test_the_mean_density_is_where_people_looked(osie_copy):
    opened = open_set(osie_copy(), limit=0)
    found = describe(opened)
    assert found.mean_density.shape == DENSITY_SIZE
    assert found.mean_density.sum() == pytest.approx(1, abs=1e-4)
    xs = np.concatenate([s.fixations.xs / s.image.shape[1] for s in opened.dataset])
    columns = (np.arange(DENSITY_SIZE[1]) + 0.5) / DENSITY_SIZE[1]
    assert found.mean_density.sum(axis=0) @ columns == pytest.approx(xs.mean(), abs=0.01)


def test_ratings_are_on_one_to_ten(ratings_copy):
    opened = open_set(ratings_copy(), limit=0)
    found = describe(opened)
    means = [sample.score_distribution @ np.arange(1, 11) for sample in opened.dataset]
    assert found.scores == pytest.approx(means, abs=1e-5)
    assert found.votes == [sum(opened.dataset.rating(i).votes) for i in range(6)]
    assert found.groups == 2
    assert found.mean_density is None


def test_a_packed_set_is_described_as_its_folder(ava_copy, tmp_path):
    root = ava_copy()
    pack(open_source(SetConfig(name="ava", layout="ava"), root.parent), tmp_path / "ava")
    own, packed = describe(open_set(root, limit=0)), describe(open_set(tmp_path / "ava", limit=0))
    assert packed.packed
    assert (packed.parts, packed.scores, packed.votes) == (own.parts, own.scores, own.votes)


def test_a_limit_spreads_over_the_set(ava_copy):
    opened = open_set(ava_copy(), limit=4)
    assert list(opened.indices) == [0, 3, 6, 9]
    found = describe(opened)
    assert found.looked == 4
    assert found.images == 12


def test_a_damaged_image_is_counted_and_passed_over(ava_copy):
    root = ava_copy()
    (root / "images/103.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    found = describe(open_set(root, limit=0), workers=2)
    assert len(found.damaged) == 1
    assert "103.jpg" in found.damaged[0]
    assert len(found.scores) == 11


def test_an_unknown_folder_says_what_would_be_known(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DatasetError, match=r"AVA\.txt, maps.*Found notes\.txt"):
        open_set(tmp_path, limit=0)


def test_charts_are_those_there_are_values_for(osie_copy, ratings_copy):
    def titles(found):
        return [re.search('aria-label="([^"]+)"', chart)[1] for chart in to_charts(found)]

    assert titles(describe(open_set(osie_copy(), 0))) == ["Fixations", "Sizes", "Proportions"]
    assert titles(describe(open_set(ratings_copy(), 0))) == [
        "Mean scores", "Disagreement", "Votes", "Sizes", "Proportions"
    ]  # fmt: skip


def test_the_page_works_from_disk_and_escapes_names(osie_copy, tmp_path):
    odd = tmp_path / "a <b> & c"
    shutil.copytree(osie_copy(), odd)
    write_page([describe(open_set(odd, 0))], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "a &lt;b&gt; &amp; c" in page
    assert "<b>" not in page
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"', page) == []


def test_the_page_shows_the_density_in_a_browser(browser, osie_copy, tmp_path):
    write_page([describe(open_set(osie_copy(), 0))], tmp_path / "page.html")
    page = browser.new_page()
    try:
        problems = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda request: problems.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        assert page.locator("figure img").evaluate("image => image.naturalWidth") == 384
        assert page.locator("svg").count() == 3
        assert problems == []
    finally:
        page.close()
