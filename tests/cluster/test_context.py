"""Only our own kube-contexts are touched."""

import pytest

from dev.cluster.context import context_name, require_ours
from dev.cluster.errors import ClusterError, ForeignContextError


@pytest.mark.parametrize("provider", ["kind", "local"])
@pytest.mark.parametrize("name", ["vendorsync", "bench", "e2e-2"])
def test_every_context_that_we_make_is_ours(provider, name):
    require_ours(context_name(provider, name))


@pytest.mark.parametrize(
    "context",
    [
        "",
        "production",
        "kind-kind",
        "kind-vendorsyncx",
        "vendorsync",
        "vendorsync-local-",
        "my-kind-vendorsync",
        "vendorsync-local\n",
        "vendorsync-local-A",
    ],
)
def test_every_other_context_is_refused_by_name(context):
    with pytest.raises(ForeignContextError) as refusal:
        require_ours(context)

    assert repr(context) in str(refusal.value)


def test_the_default_cluster_has_the_short_names():
    assert context_name("kind") == "kind-vendorsync"
    assert context_name("local") == "vendorsync-local"


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "-a", "a-", "..", "x" * 33])
def test_a_name_that_is_no_plain_word_is_refused(name):
    with pytest.raises(ClusterError, match="cannot name a cluster"):
        context_name("local", name)
