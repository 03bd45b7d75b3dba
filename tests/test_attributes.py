import pytest

from saliency.attributes import Attribute
from saliency.errors import ConfigError

VALENCE = Attribute("valence", 1, 7)
KIND = Attribute("kind", classes=("animal", "scene", "object"))


@pytest.mark.parametrize(("text", "label"), [("1", 0.0), ("7", 1.0), ("4", 0.5)])
def test_labels_of_a_scale_run_from_0_to_1(text, label):
    assert VALENCE.to_label(text) == pytest.approx(label)


def test_a_label_gives_its_value_back():
    assert VALENCE.to_value(VALENCE.to_label("2.5")) == pytest.approx(2.5)


def test_labels_of_classes_are_their_numbers():
    assert KIND.to_label("scene") == 1.0


@pytest.mark.parametrize("text", ["0.9", "7.1", "good", "nan"])
def test_what_is_off_the_scale_is_refused(text):
    with pytest.raises(ValueError, match=r"valence|could not convert"):
        VALENCE.to_label(text)


def test_an_unknown_class_is_refused_by_name():
    with pytest.raises(ValueError, match=r"`kind` should be one of .*Found 'person'"):
        KIND.to_label("person")


@pytest.mark.parametrize(
    ("attribute", "found"),
    [
        (Attribute("saliency"), "Found 'saliency'"),
        (Attribute("two words"), "Found 'two words'"),
        (Attribute("valence", 7, 1), "Found 7 and 1"),
        (Attribute("kind", classes=("one",)), "Found \\['one'\\]"),
        (Attribute("kind", classes=("one", "one")), "Found \\['one', 'one'\\]"),
    ],
)
def test_what_makes_no_sense_is_refused(attribute, found):
    with pytest.raises(ConfigError, match=found):
        attribute.check()


def test_an_attribute_has_an_output_a_class_or_one():
    assert (KIND.outputs, VALENCE.outputs) == (3, 1)
