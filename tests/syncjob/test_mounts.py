import base64
from pathlib import Path

import pytest

from tests.syncjob.builders import run_spec, write_mounts
from vendorsync_api.policy import load_policy
from vendorsync_api.run import MOUNTS
from vendorsync_job.errors import (
    ConfigurationError,
    SecretKeyMissingError,
    SecretMissingError,
)
from vendorsync_job.mounts import Mounts, Secret, secrets_of

GOOD = {"appId": "id", "appSecret": "secret", "email": "a@example.test", "password": "pw\n"}
POLICY = load_policy("solarman")


@pytest.fixture
def root(tmp_path):
    write_mounts(tmp_path, credentials=GOOD, database_url="postgresql://u:p@db/app")
    return tmp_path


def mounts(root):
    return Mounts(root, run_spec())


def test_one_newline_at_the_end_of_a_value_is_dropped(root):
    assert mounts(root).credentials(POLICY)["password"] == "pw"
    assert mounts(root).database_url() == "postgresql://u:p@db/app"


CREATE = (
    "create Secret organization-a-solarman in namespace solar with the keys appId, appSecret,"
    " email or username or mobile, password or passwordSha256; it is missing or empty"
)


def test_a_missing_secret_is_named_with_namespace_and_keys_and_in_a_pod_with_no_folder():
    with pytest.raises(SecretMissingError) as caught:
        mounts(Path(MOUNTS)).credentials(POLICY)

    assert str(caught.value) == CREATE


def test_outside_a_pod_a_missing_secret_is_named_with_its_folder(tmp_path):
    with pytest.raises(SecretMissingError) as caught:
        mounts(tmp_path).credentials(POLICY)

    assert str(caught.value) == f"{CREATE}; looked for files in {tmp_path}/credentials"


def test_in_a_pod_missing_keys_are_named_with_no_folder():
    with pytest.raises(SecretKeyMissingError) as caught:
        Secret("pg", "solar", {"a": b"x"}).require(["a", "b"], ["b"])

    assert str(caught.value) == (
        "add to Secret pg in namespace solar the missing keys b; it needs a, b"
    )


def test_outside_a_pod_missing_keys_are_named_with_their_folder(root):
    (root / "token-keys" / "fingerprint").unlink()

    with pytest.raises(SecretKeyMissingError) as caught:
        mounts(root).token_keys()

    assert str(caught.value).endswith(f"fingerprint; looked for files in {root}/token-keys")


def test_a_folder_that_does_not_exist_is_a_wrong_setting_and_no_missing_secret(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        mounts(tmp_path / "typo").credentials(POLICY)

    assert type(caught.value) is ConfigurationError
    assert str(caught.value) == f"folder {tmp_path}/typo of --mounts does not exist"


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_missing_or_empty_key_is_named(root, content):
    path = root / "credentials" / "password"
    path.unlink() if content is None else path.write_text(content)

    with pytest.raises(SecretKeyMissingError, match="missing keys password or passwordSha256;"):
        mounts(root).credentials(POLICY)


def test_the_database_secret_is_named_with_the_key_of_the_spec(root):
    spec = run_spec(database={"name": "pg", "keys": ["dsn"]})

    with pytest.raises(SecretKeyMissingError, match=r"Secret pg in namespace solar .* dsn"):
        Mounts(root, spec).database_url()


def test_folders_that_kubernetes_keeps_beside_the_files_are_no_keys(root):
    (root / "credentials" / "..2026_03_02").mkdir()
    (root / "credentials" / "..data").write_text("x")

    assert set(mounts(root).credentials(POLICY)) == set(GOOD)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(bytes(range(32)), id="raw"),
        pytest.param(base64.b64encode(bytes(range(32))) + b"\n", id="base64"),
        pytest.param(base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"="), id="base64url"),
    ],
)
def test_token_keys_may_be_raw_or_base64(root, key):
    (root / "token-keys" / "k1").write_bytes(key)

    assert mounts(root).token_keys().keys["k1"] == bytes(range(32))


def test_the_key_that_current_names_must_be_there(root):
    (root / "token-keys" / "current").write_text("k2")

    with pytest.raises(SecretKeyMissingError, match="missing keys k2;"):
        mounts(root).token_keys()


def test_a_key_of_the_wrong_length_is_refused_by_name(root):
    (root / "token-keys" / "k1").write_text("short")

    with pytest.raises(SecretKeyMissingError, match=r"key k1 .* is not 32 bytes"):
        mounts(root).token_keys()


def test_a_value_that_is_no_text_is_named_and_not_shown(root):
    (root / "credentials" / "password").write_bytes(b"\xff\xfe")

    with pytest.raises(SecretKeyMissingError, match=r"key password .* is not UTF-8 text"):
        mounts(root).credentials(POLICY)


def test_a_shared_secret_may_hold_other_keys_that_are_no_text(root):
    (root / "credentials" / "keystore.p12").write_bytes(b"\xff\xfe")
    (root / "credentials" / "countryCode").write_text("91")

    assert set(mounts(root).credentials(POLICY)) == {*GOOD, "countryCode"}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"x\xff" * 8, id="raw"),
        pytest.param(base64.b64encode(bytes(range(16))) + b"\n", id="base64"),
    ],
)
def test_a_fingerprint_of_16_bytes_is_taken_as_written(root, value):
    (root / "token-keys" / "fingerprint").write_bytes(value)

    assert mounts(root).token_keys().fingerprint == value.strip()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"x\xff" * 7 + b"x", id="raw"),
        pytest.param(base64.b64encode(bytes(range(15))), id="base64"),
    ],
)
def test_a_shorter_fingerprint_is_refused(root, value):
    (root / "token-keys" / "fingerprint").write_bytes(value)

    with pytest.raises(SecretKeyMissingError) as caught:
        mounts(root).token_keys()

    assert str(caught.value) == (
        "key fingerprint of Secret vendorsync-token-keys in namespace solar is shorter than 16"
        " bytes; write random ones, raw or in base64;"
        f" the file is {root}/token-keys/fingerprint"
    )


@pytest.mark.parametrize(
    ("file", "value", "secret"),
    [
        ("credentials/password", "CHANGE-ME\n", "organization-a-solarman"),
        ("credentials/countryCode", "CHANGE-ME", "organization-a-solarman"),
        ("database/url", "CHANGE-ME", "vendorsync-database"),
        ("database/url", "postgresql://run:CHANGE-ME@db/app", "vendorsync-database"),
        ("token-keys/k1", "CHANGE-ME", "vendorsync-token-keys"),
        ("token-keys/current", "CHANGE-ME", "vendorsync-token-keys"),
        ("token-keys/fingerprint", "CHANGE-ME", "vendorsync-token-keys"),
    ],
)
def test_the_samples_value_is_refused_wherever_it_stands(root, file, value, secret):
    (root / file).write_text(value)
    part, key = file.split("/")
    read = {
        "credentials": lambda: mounts(root).credentials(POLICY),
        "database": mounts(root).database_url,
        "token-keys": mounts(root).token_keys,
    }[part]

    with pytest.raises(SecretKeyMissingError) as caught:
        read()

    assert str(caught.value).startswith(
        f"key {key} of Secret {secret} in namespace solar still holds the sample's CHANGE-ME;"
    )


def test_the_samples_value_in_a_key_that_no_run_reads_is_let_be(root):
    (root / "credentials" / "other").write_text("CHANGE-ME")

    assert set(mounts(root).credentials(POLICY)) == set(GOOD)


def test_what_a_run_needs_beyond_the_credentials_is_told_as_far_as_it_is_missing(root):
    assert mounts(root).absent_for_run() == []

    for file in (*(root / "database").iterdir(), *(root / "token-keys").iterdir()):
        file.unlink()

    assert mounts(root).absent_for_run() == [
        "database/ (url)",
        "token-keys/ (current, the key that it names, fingerprint)",
    ]


@pytest.mark.fault("S2")
def test_passwords_count_as_secrets_as_written_and_as_meant():
    url = "postgresql://u:p%40ss%2Fword@db/app"

    found = secrets_of(POLICY, GOOD | {"countryCode": "91"}, url)

    assert {url, "p%40ss%2Fword", "p@ss/word", "secret"} <= set(found)
    assert "91" not in found
