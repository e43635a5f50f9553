"""Labels and annotations for the pods of runs: what Kubernetes takes, and whose keys are whose."""

import pytest

from vendorsync_api.pods import annotation_faults, label_faults

LONG = "x" * 64


@pytest.mark.parametrize("key", ["team", "a.b_c-D", "sidecar.istio.io/inject", "x" * 63])
@pytest.mark.parametrize("value", ["", "a", "A-b_c.9", "x" * 63])
def test_what_kubernetes_takes_is_taken(key, value):
    assert list(label_faults({key: value})) == []
    assert list(annotation_faults({key: value})) == []


@pytest.mark.parametrize(
    "key",
    ["", "-a", "a b", "a/b/c", "/a", "a/", "Istio.io/a", f"{LONG}/a", LONG, f"{'a.' * 130}a/b"],
)
def test_what_is_no_key_is_named(key):
    (label,) = label_faults({key: "x"})
    (annotation,) = annotation_faults({key: "x"})

    assert repr(key) in label
    assert repr(key) in annotation


@pytest.mark.parametrize("value", ["a b", "-", "a-", LONG, "\u0662", "a\n"])
def test_what_is_no_value_of_a_label_may_be_one_of_an_annotation(value):
    (fault,) = label_faults({"team": value})

    assert repr(value) in fault
    assert list(annotation_faults({"team": value})) == []


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        ("vendorsync.dev/organization", "VendorSync"),
        ("internal.vendorsync.dev/x", "VendorSync"),
        ("app.kubernetes.io/managed-by", "VendorSync"),
        ("batch.kubernetes.io/job-name", "Job controller"),
        ("job-name", "Job controller"),
        ("controller-uid", "Job controller"),
    ],
)
def test_keys_that_belong_to_others_are_refused(key, owner):
    for faults in (label_faults, annotation_faults):
        (fault,) = faults({key: "x"})
        assert repr(key) in fault
        assert owner in fault


@pytest.mark.parametrize("key", ["notvendorsync.dev/x", "app.kubernetes.io/part-of"])
def test_keys_that_only_look_like_ours_are_free(key):
    assert list(label_faults({key: "x"})) == []
