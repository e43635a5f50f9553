from pathlib import Path

import pytest
from ruamel.yaml import YAML

from vendorsync_api.run import RunSpec
from vendorsync_operator import files
from vendorsync_operator.__main__ import command

ROOT = Path(__file__).resolve().parents[2]

GOOD = """\
apiVersion: v1
kind: Secret
metadata: {name: not-ours}
---
apiVersion: vendorsync.dev/v1alpha1
kind: VendorSync
metadata: {name: organization-a, namespace: solar}
spec:
  organization: {id: 3, name: Organization A}
  schedule:
    intervalMinutes: 15
    restrictedWindows:
    - {start: 19:00, end: 06:00}
  vendors:
  - name: solarman
    adapter: solarman
    credentialsSecretRef: {name: organization-a-solarman}
  - name: off
    adapter: sungrow
    credentialsSecretRef: {name: organization-a-sungrow}
"""


@pytest.fixture
def invoke(tmp_path, capsys):
    def invoke(verb, text, *arguments, **env):
        path = tmp_path / "resource.yaml"
        path.write_text(text)
        code = command([verb, str(path), *arguments], env=env)
        return code, *capsys.readouterr()

    return invoke


def test_render_prints_a_cron_job_for_each_vendor(invoke):
    code, out, err = invoke("render", GOOD)

    documents = list(YAML(typ="safe", pure=True).load_all(out))
    assert (code, err) == (0, "")
    assert [d["metadata"]["name"] for d in documents] == [
        "organization-a-off-plants",
        "organization-a-solarman-plants",
    ]
    assert "ownerReferences" not in documents[0]["metadata"]


def test_render_prints_the_contract_of_one_run(invoke):
    code, out, err = invoke("render", GOOD, "--run", "solarman")

    spec = RunSpec.model_validate_json(out)
    assert (code, err, spec.vendor.name, spec.stream) == (0, "", "solarman", "plants")


def test_render_prints_the_contract_of_a_run_of_alerts(invoke):
    sample = Path(__file__).parents[2] / "manifests/samples/two-vendors.yaml"

    code, out, err = invoke("render", sample.read_text(), "--run", "sungrow/alerts")

    spec = RunSpec.model_validate_json(out)
    assert (code, err, spec.vendor.name, spec.stream) == (0, "", "sungrow", "alerts")


def test_a_contract_of_a_vendor_that_is_not_there_names_those_that_are(invoke):
    code, _, err = invoke("render", GOOD, "--run", "helios")

    assert code == 64
    assert (
        "no single resource with a run 'helios/plants'; it has: off/plants, solarman/plants" in err
    )


def test_words_that_older_readers_take_for_something_else_are_quoted(invoke):
    _, out, _ = invoke("render", GOOD)

    assert "vendorsync.dev/vendor: 'off'\n" in out
    assert files.dump([{"start": "19:00", "count": 15}]) == "---\ncount: 15\nstart: '19:00'\n"


def test_what_is_rendered_has_no_anchors(invoke):
    assert "labels: &" not in invoke("render", GOOD)[1]


@pytest.mark.requirement("R16")
def test_preview_prints_the_next_runs_in_the_zone_and_in_utc(invoke):
    code, out, _ = invoke("preview", GOOD, "--at", "2026-11-22T18:40:00+05:30", "--count", "2")

    rows = [line.split() for line in out.splitlines()[3:]]
    assert code == 0
    assert " ".join(rows[0][1:]) == (
        "solarman plants Sun 2026-11-22 18:45 +0530 2026-11-22 13:15Z 15m 19:00-06:00 Asia/Kolkata"
    )
    assert rows[1][4:6] == ["2026-11-23", "06:00"]


def test_the_offset_of_a_resource_without_a_namespace_is_that_of_the_one_given(invoke):
    hashed = GOOD.replace("intervalMinutes: 15", "{intervalMinutes: 15, spread: Hashed}")
    hashed = hashed.replace("  schedule:\n    {", "  schedule: {").replace(
        "    restrictedWindows:\n    - {start: 19:00, end: 06:00}\n", ""
    )
    nowhere = hashed.replace(", namespace: solar", "")

    named = invoke("preview", hashed, "--at", "2026-11-23T06:00:00Z")
    given = invoke("preview", nowhere, "--at", "2026-11-23T06:00:00Z", "-n", "solar")
    other = invoke("preview", nowhere, "--at", "2026-11-23T06:00:00Z")

    assert named[0] == 0
    assert named == given
    assert named[1] != other[1]


@pytest.mark.requirement("R16")
def test_preview_and_render_know_an_operator_without_restricted_hours(invoke):
    text = GOOD.replace("    restrictedWindows:\n    - {start: 19:00, end: 06:00}\n", "")
    hourly = text.replace("intervalMinutes: 15", "intervalMinutes: 60")
    none = {"SYNC_WINDOW_START": "none", "SYNC_WINDOW_END": "none"}

    _, preview, _ = invoke("preview", hourly, "--at", "2026-11-22T18:50:00+05:30", **none)
    _, render, _ = invoke("render", hourly, **none)

    assert "19:00 +0530" in preview
    assert render.count("0 * * * *") == 2


def test_preview_says_what_is_suspended(invoke):
    text = GOOD.replace("spec:\n", "spec:\n  suspend: true\n")

    _, out, _ = invoke("preview", text)

    assert out.count("suspended") == 2


def test_preview_starts_at_the_present_without_a_moment(invoke):
    assert invoke("preview", GOOD)[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(
            "adapter: sungrow",
            "adapter: growatt",
            "adapter 'growatt' is not installed",
            id="adapter",
        ),
        pytest.param(
            "intervalMinutes: 15",
            "timeZone: Asia/Calcuta",
            "time zone 'Asia/Calcuta' is not in the IANA database; use Asia/Calcutta",
            id="zone",
        ),
        pytest.param(
            "intervalMinutes: 15",
            "timeZone: GMT+5:30",
            "time zone 'GMT+5:30' is not in the IANA database; use Asia/Kolkata",
            id="offset",
        ),
        pytest.param(
            "intervalMinutes: 15",
            "timeZone: posixrules",
            "time zone 'posixrules' is not in the IANA database",
            id="file of zones",
        ),
        pytest.param(
            "15\n",
            "45\n",
            "intervalMinutes 45 is not one that a CronJob can keep evenly",
            id="interval",
        ),
        pytest.param(
            "intervalMinutes: 15",
            'intervalMinutes: 15\n    cron: "0 * * * *"',
            "spec.schedule sets intervalMinutes and cron",
            id="interval and cron",
        ),
        pytest.param("06:00", "19:00", "window starts and ends at 19:00", id="start is end"),
        pytest.param(
            "name: off", "name: solarman", "two entries with the name 'solarman'", id="same name"
        ),
        pytest.param("adapter: sungrow", "adaptor: sungrow", "adapter is missing", id="missing"),
        pytest.param("id: 3", "id: none", "organization.id: 'none' does not fit", id="type"),
        pytest.param(
            "  vendors:",
            "  run: {podLabels: {job-name: mine}}\n  vendors:",
            "the label 'job-name' belongs to Kubernetes' Job controller",
            id="label of another",
        ),
        pytest.param("  vendors:", "  vendor: 1\n  vendors:", "spec.vendor is not a", id="unknown"),
        pytest.param("15\n", "15: 1\n", "not YAML: ", id="syntax"),
        pytest.param("15\n", '"15"\n', "intervalMinutes: '15' does not fit", id="text"),
        pytest.param(
            "15\n", "15\n    intervalMinutes: 30\n", "'intervalMinutes' a second time", id="twice"
        ),
        pytest.param("organization-a,", "Organization A,", "is no name of an object", id="name"),
        pytest.param(
            "namespace: solar",
            "namespace: so.lar",
            "'so.lar' is no name of a namespace",
            id="namespace",
        ),
        pytest.param(
            "  vendors:",
            "  run: {resources: {requests: {cpu: 500m}, limits: {cpu: 100m}}}\n  vendors:",
            "requests.cpu: 500m is more than the limit 100m",
            id="request above limit",
        ),
        pytest.param(
            "  vendors:",
            "  run: {resources: {limits: {gpu: 1}}}\n  vendors:",
            "limits.gpu: containers have no resource 'gpu'",
            id="resource without domain",
        ),
        pytest.param(
            "  vendors:",
            "  run: {resources: {limits: {memory: 256m}}}\n  vendors:",
            "limits.memory: 256m is a fraction",
            id="thousandths of bytes",
        ),
        pytest.param("kind: VendorSync", "kind: VendorSink", "no resource of kind", id="kind"),
        pytest.param("v1alpha1", "v2", "apiVersion is 'vendorsync.dev/v2'", id="version"),
        pytest.param("organization-a,", f"{'a' * 64},", "longer than 63", id="long name"),
        pytest.param(
            "intervalMinutes: 15",
            'cron: "@every 15m"',
            "cron '@every 15m' has 2 fields",
            id="descriptor",
        ),
    ],
)
def test_bad_input_is_one_sentence_on_stderr_and_exit_64(invoke, old, new, said):
    assert old in GOOD

    code, out, err = invoke("render", GOOD.replace(old, new))

    assert (code, out) == (64, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("verb", ["render", "preview"])
def test_a_field_that_is_null_counts_as_absent(invoke, verb):
    interval = "intervalMinutes: 15\n"
    nulls = f"{interval}    cron: null\n    timeZone: ~\n"
    at = () if verb == "render" else ("--at", "2026-11-22T18:40:00+05:30")

    assert invoke(verb, GOOD.replace(interval, nulls), *at) == invoke(verb, GOOD, *at)


def test_a_null_among_the_options_reaches_the_adapter(invoke):
    text = GOOD.replace("adapter: solarman\n", "adapter: solarman\n    options: {orgid: null}\n")

    code, _, err = invoke("render", text)

    assert (code, "option 'orgid'" in err) == (64, True)


TIGHT = GOOD.replace("    - {start: 19:00, end: 06:00}\n", "    - {start: 00:00, end: 00:15}\n") + (
    "status:\n  vendors:\n"
    "  - {name: solarman, stream: plants, result: Succeeded, reason: Synced, total: 300}\n"
)


@pytest.mark.parametrize("verb", ["render", "preview"])
def test_an_allowance_that_may_not_suffice_is_told_beside_the_output(invoke, verb):
    code, out, err = invoke(verb, TIGHT)

    assert code == 0
    assert "organization-a" in out
    assert err.count("\n") == 1
    assert "VendorSync organization-a: solarman/plants: BudgetTight: 37565 runs in 395.4" in err


@pytest.mark.parametrize("verb", ["render", "preview"])
def test_an_allowance_that_the_file_declares_is_held_against_its_schedule(invoke, verb):
    vendor = "  - name: solarman\n"
    declared = f"{vendor}    allowances: [{{calls: 90000, seconds: 31536000}}]\n"

    code, out, err = invoke(verb, TIGHT.replace(vendor, declared))

    assert (code, out) == (64, "")
    assert "solarman/plants: 37565 runs in 395.4 days of 3 calls each" in err
    assert "settings declare leaves 89500 (90000 in 365 days" in err


@pytest.mark.parametrize(("percent", "code"), [(101, 0), (100, 64)])
def test_an_edit_in_a_file_of_what_went_on_is_judged_like_the_edit_of_the_resource(
    invoke, percent, code
):
    kept = f"total: 300, toleratedPercent: {percent}"
    declared = "allowances: [{calls: 112196, seconds: 31536000}]"
    text = TIGHT.replace("total: 300", kept).replace(
        "  - name: solarman\n", f"  - name: solarman\n    {declared}\n"
    )

    ended, _, err = invoke("preview", f"{text}  observedGeneration: 0\n")

    assert ended == code
    assert "make 112702 calls; what the resource or the operator's settings declare leaves" in err


def test_a_status_that_cannot_be_read_is_left_alone(invoke):
    assert invoke("render", f"{GOOD}status: {{vendors: 7}}\n")[0] == 0


def test_a_file_that_is_not_there_is_named(capsys):
    assert command(["preview", "/nowhere.yaml"], env={}) == 64
    assert capsys.readouterr().err == (
        "vendorsync_operator: /nowhere.yaml: No such file or directory\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["preview", "x", "--at", "tomorrow"],
        ["preview", "x", "--at", "2026-11-22T10:00:00"],
        ["preview", "x", "--count", "0"],
        ["fly"],
        [],
    ],
)
def test_bad_arguments_end_with_64_and_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        command(arguments, env={})

    assert ended.value.code == 64
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bad_setting_is_named_before_anything_is_read(capsys):
    assert command(["run"], env={"CONCURRENCY_LIMIT": "none"}) == 64
    assert "CONCURRENCY_LIMIT is 'none'" in capsys.readouterr().err


@pytest.mark.parametrize("amount", ["1e1000", '"1e1.5"', "256 MB"])
def test_an_amount_that_is_no_quantity_is_answered_by_what_to_write(tmp_path, capsys, amount):
    file = tmp_path / "resource.yaml"
    sample = (ROOT / "manifests/samples/smallest.yaml").read_text()
    file.write_text(f"{sample}  run: {{resources: {{limits: {{memory: {amount}}}}}}}\n")

    assert command(["render", str(file)], {}) == 64

    said = capsys.readouterr().err
    assert "spec.run.resources.limits.memory " in said
    assert said.endswith("is not a quantity; write for example 250m or 128Mi\n")
