import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from vendorsync_api.v1alpha1 import Quantity
from vendorsync_operator.spec import quantity


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
        ("1e0003", "1e3"),
        ("1e-1000", "1e-3"),
        ("0e99", "0"),
        ("9E", "9E"),
    ],
)
def test_a_quantity_is_spelled_as_the_server_spells_it(given, canonical):
    assert quantity.canonical(given) == canonical


@pytest.mark.parametrize(
    "text", ["", "1 Gi", "Gi", "1.2.3", "0x10", "\uff11", "1e1.5", "1e", "1" * 99]
)
def test_a_text_that_is_no_quantity_is_refused_by_name(text):
    with pytest.raises(quantity.QuantityError, match="is not a quantity"):
        quantity.canonical(text)


@pytest.mark.parametrize("text", ["1e1000", "1e19", "10E", "16Ei", "-1e99", 2**63])
def test_an_amount_that_nothing_has_is_refused_by_name(text):
    with pytest.raises(quantity.QuantityError, match=rf"'{text}' is more than any node has"):
        quantity.canonical(text)


SIGN = st.sampled_from(["", "+"])
NUMBER = st.from_regex(r"([0-9]{1,30}(\.[0-9]{0,20})?|\.[0-9]{1,20})", fullmatch=True)
SUFFIX = st.sampled_from(
    ["", *"numkMGTPE", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-18", "e+99", "e1.5", "e", "x"]
)


@given(st.tuples(SIGN, NUMBER, SUFFIX).map("".join))
def test_whatever_admission_takes_is_spelled_or_refused_as_too_large(text):
    try:
        TypeAdapter(Quantity).validate_python(text)
    except ValidationError:
        with pytest.raises(quantity.QuantityError, match="is not a quantity"):
            quantity.canonical(text)
        return

    try:
        spelled = quantity.canonical(text)
    except quantity.QuantityError as error:
        assert "more than any node has" in str(error)  # noqa: PT017
    else:
        assert quantity.value(spelled) == quantity.value(text)
        assert quantity.canonical(spelled) == spelled


def test_quantities_of_different_spelling_compare_by_value():
    assert quantity.value("1Gi") > quantity.value("1000M") > quantity.value("900Mi")
