import pytest

from vendorsync_operator import quantity


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("0.5", "500m"),
        ("1000m", "1"),
        (2, "2"),
        ("1024Mi", "1Gi"),
        ("0.5Gi", "512Mi"),
        ("1.5Gi", "1536Mi"),
        ("1000Mi", "1000Mi"),
        ("128974848", "128974848"),
        ("129e6", "129e6"),
        ("1000k", "1M"),
        ("0.0001", "1m"),
        ("0", "0"),
        ("512", "512"),
        ("0.3Ki", "307200m"),
        ("+1.50", "1500m"),
        ("1E", "1E"),
        ("100e-3", "100e-3"),
    ],
)
def test_a_quantity_is_spelled_as_the_server_spells_it(given, canonical):
    assert quantity.canonical(given) == canonical


@pytest.mark.parametrize("text", ["", "1 Gi", "Gi", "1.2.3", "0x10", "\uff11"])
def test_a_text_that_is_no_quantity_is_refused_by_name(text):
    with pytest.raises(quantity.QuantityError, match="is not a quantity"):
        quantity.canonical(text)


def test_quantities_of_different_spelling_compare_by_value():
    assert quantity.value("1Gi") > quantity.value("1000M") > quantity.value("900Mi")
