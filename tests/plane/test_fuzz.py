"""Specs drawn from the CRD's own schema, walked A -> B -> A on a real API server.

What admission accepts must not end the operator, and what it makes of a spec must not depend on
what the spec was before.
"""

import re
import string

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dev.plane.api import ApiError
from tests.plane.scene import Scene, sweep
from vendorsync_api.crd import custom_resource_definition

pytestmark = [pytest.mark.promise("P3"), pytest.mark.timeout(280)]

QUICK = {"VENDORSYNC_STATUS_INTERVAL_SECONDS": "0"}
WALKS = 120
ADAPTERS = {"alpha": "solarman", "beta": "sungrow", "gamma": "solarman", "delta": "unknown"}
"""By the vendor's name, since an adapter cannot change; the last one is not installed."""
CRONS = ("*/20 * * * *", "30 12 1 1 *", "0 0 31 2 *", "0 6-18 * * 1-5", "x y z a b")
ZONES = ("Asia/Kolkata", "UTC", "America/St_Johns", "Nowhere/Land")
QUANTITIES = ("50m", "1", "0.5", "1e3", "128974848", "129M", "123Mi", "1Ti", "-1", "0")
KNOWN = {
    "adapter": st.nothing(),
    "cron": st.sampled_from(CRONS),
    "timeZone": st.sampled_from(ZONES),
    "intervalMinutes": st.sampled_from((5, 15, 30, 60, 1440)),
}
"""Fields whose meaning a pattern does not tell; a random text would always be refused."""


def drawn(node, name=""):
    """Return a strategy for what a node of the schema describes."""
    if name in KNOWN:
        return KNOWN[name]
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return st.sampled_from(QUANTITIES) | st.integers(0, 2**40)
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return free()
    return {
        "object": objects,
        "array": arrays,
        "string": texts,
        "integer": integers,
        "boolean": lambda _: st.booleans(),
    }[node["type"]](node)


def free():
    leaves = st.none() | st.booleans() | st.integers(-(2**31), 2**31) | texts({"maxLength": 8})
    values = st.recursive(leaves, lambda each: st.lists(each, max_size=2), max_leaves=4)
    keys = st.sampled_from(("orgId", "region", "x")) | st.text(string.ascii_letters, min_size=1)
    return st.dictionaries(keys, values, max_size=3)


def objects(node):
    if "properties" not in node:
        keys = st.sampled_from(("cpu", "memory", "ephemeral-storage", "example.com/x"))
        most = min(node.get("maxProperties", 3), 3)
        return st.dictionaries(keys, drawn(node["additionalProperties"]), max_size=most)
    fields = {name: drawn(each, name) for name, each in node["properties"].items()}
    required = {name: fields.pop(name) for name in node.get("required", ())}
    return st.fixed_dictionaries(required, optional=fields).map(one_clock)


def one_clock(values):
    """Drop one of two fields that are always refused together."""
    both = "cron" in values and "intervalMinutes" in values
    return {name: each for name, each in values.items() if not both or name != "cron"}


def arrays(node):
    keys = node.get("x-kubernetes-list-map-keys", ())
    unique = None
    if keys or node.get("x-kubernetes-list-type") == "set":

        def unique(each):
            return tuple(each[key] for key in keys) or str(each)

    most = min(node.get("maxItems", 3), 3)
    return st.lists(
        drawn(node["items"]), min_size=node.get("minItems", 0), max_size=most, unique_by=unique
    )


def texts(node):
    low, high = node.get("minLength", 0), node.get("maxLength", 40)
    if "pattern" in node:
        made = st.from_regex(node["pattern"].removesuffix("$") + r"\Z", fullmatch=True)
        return made.filter(lambda text: low <= len(text) <= high)
    # Beyond that plane the server's reader of applied documents knows no escapes of JSON.
    letters = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])
    return st.text(letters, min_size=low, max_size=min(high, 30))


def integers(node):
    return st.integers(node.get("minimum", -(2**31)), node.get("maximum", 2**31))


def specs():
    """Return a strategy for specs of one organization."""
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec = schema["properties"]["spec"]
    vendor = spec["properties"]["vendors"]["items"]
    vendor["properties"] = {
        name: node for name, node in vendor["properties"].items() if name not in ("adapter", "id")
    }
    vendor["required"] = [name for name in vendor["required"] if name != "adapter"]
    vendor["properties"]["name"] = {"enum": list(ADAPTERS)}
    vendors = st.lists(objects(vendor), min_size=1, max_size=3, unique_by=lambda v: v["name"])
    spec["properties"] = {
        name: node
        for name, node in spec["properties"].items()
        if name not in ("organization", "vendors", "syncRequest")
    }
    spec["required"] = []
    return st.tuples(vendors.map(with_adapters), objects(spec))


def with_adapters(vendors):
    return [each | {"adapter": ADAPTERS[each["name"]]} for each in vendors]


def accepted(scene, spec):
    """Apply a spec and wait until the operator has seen it; tell whether admission took it."""
    vendors, rest = spec
    try:
        scene.apply(*vendors, **rest)
    except ApiError as error:
        if error.status not in (400, 422):
            raise
        return False
    scene.applied()
    return True


def made(scene):
    conditions = scene.state()["status"]["conditions"]
    (ready,) = (each for each in conditions if each["type"] == "Ready")
    return scene.state()["cron_jobs"], ready


def is_refused(ready):
    return ready["reason"] == "APIRefused" or " is invalid: " in ready["message"]


def assert_same(found, wanted):
    """A vendor that is refused now keeps the CronJob of better days, which rests.

    One whose CronJob the API server refuses keeps the last that was taken, and that goes on: the
    operator cannot tell a spec that is wrong from a quota or a webhook.
    """
    cron_jobs, ready = found
    kept = {name: each for name, each in cron_jobs.items() if name not in wanted[0]}
    assert all(each["spec"]["suspend"] for each in kept.values()) or is_refused(ready)
    assert {name: cron_jobs.get(name) for name in wanted[0]} == wanted[0]
    # The server's words about an object that it refuses come in an order of their own each time.
    assert (ready["status"], ready["reason"]) == (wanted[1]["status"], wanted[1]["reason"])
    assert not kept or ready["status"] == "False"


def test_what_admission_accepts_never_ends_the_operator_and_leaves_no_memory(plane, operator):
    process = operator(plane, env=QUICK)
    scene = Scene(plane, "acme")
    walked = {"whole": 0, "refused": 0}

    @settings(
        max_examples=WALKS,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(first=specs(), second=specs())
    def walk(first, second):
        sweep(scene)
        if not accepted(scene, first):
            walked["refused"] += 1
            return
        state = made(scene)
        if accepted(scene, second) and accepted(scene, first):
            assert_same(made(scene), state)
            walked["whole"] += 1
        assert process.alive, process.log()[-2000:]
        assert process.health()[0] == 200

    walk()
    assert walked["whole"] >= WALKS // 4, walked
    assert not re.search(r"reconciliation failed", process.log())
