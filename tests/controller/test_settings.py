import pytest

from vendorsync_api.schedule import Window
from vendorsync_operator.settings import Settings, SettingsError


def test_an_empty_environment_gives_the_built_in_settings():
    settings = Settings.from_env({})

    assert settings.schedule.enabled
    assert (settings.schedule.interval, settings.schedule.time_zone) == (15, "Asia/Kolkata")
    assert settings.schedule.window == Window(19 * 60, 6 * 60)
    assert settings.namespaces == ()
    assert settings.concurrency_limit == 5


@pytest.mark.requirement("R18")
@pytest.mark.requirement("R29")
def test_the_old_names_are_understood():
    settings = Settings.from_env(
        {
            "ENABLE_PLANT_SYNC_CRON": "false",
            "PLANT_SYNC_CRON_SCHEDULE": "*/20 * * * *",
            "SYNC_WINDOW_START": "20:00",
            "SYNC_WINDOW_END": "05:30",
            "CONCURRENCY_LIMIT": "9",
        }
    )

    assert not settings.schedule.enabled
    assert (settings.schedule.interval, settings.schedule.cron) == (None, "*/20 * * * *")
    assert settings.schedule.window == Window(20 * 60, 5 * 60 + 30)
    assert settings.concurrency_limit == 9


@pytest.mark.requirement("R02")
def test_the_old_token_columns_are_left_alone_unless_told_otherwise():
    given = {"VENDORSYNC_LEGACY_TOKENS": "ReadWrite"}

    assert Settings.from_env({}).legacy_tokens == "Ignore"
    assert Settings.from_env(given).legacy_tokens == "ReadWrite"


def test_allowed_endpoints_are_a_json_list():
    text = '[{"adapter":"solarman","origin":"https://s","allowPrivate":true,"caSecret":"ca"}]'

    endpoint = Settings.from_env({"VENDORSYNC_ALLOWED_ENDPOINTS": text}).allowed_endpoints[0]

    assert (endpoint.allow_private, endpoint.ca_secret) == (True, "ca")


def test_allowances_are_a_json_list():
    text = (
        '[{"adapter":"solarman","calls":200000,"seconds":31536000},'
        '{"adapter":"sungrow","calls":5000,"seconds":3600,"per":"Account"}]'
    )

    first, second = Settings.from_env({"VENDORSYNC_ALLOWANCES": text}).allowances

    assert (first.adapter, first.calls, first.seconds) == ("solarman", 200_000, 31_536_000)
    assert (first.per, second.per) == (None, "Account")
    assert Settings.from_env({"VENDORSYNC_ALLOWANCES": ""}).allowances == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"adapter":"solarman","calls":5}]', "0.seconds: Field required"),
        ('[{"adapter":"solarman","calls":0,"seconds":9}]', "0.calls: Input should be greater"),
        ('[{"adapter":"a","calls":5,"seconds":9,"Per":"App"}]', "0.Per: Extra inputs are not"),
        ('[{"adapter":"a","calls":5,"seconds":9,"per":"Org"}]', "0.per: Input should be 'Account'"),
        ("{", "Invalid JSON"),
    ],
)
def test_an_allowance_that_cannot_be_used_names_the_field(text, said):
    with pytest.raises(SettingsError, match="VENDORSYNC_ALLOWANCES must be a JSON list") as refused:
        Settings.from_env({"VENDORSYNC_ALLOWANCES": text})

    assert said in str(refused.value)


def test_the_lease_stands_in_the_pods_namespace_unless_nothing_says_which_that_is():
    given = Settings.from_env(
        {"POD_NAMESPACE": "ops", "VENDORSYNC_LEASE_NAME": "mine", "POD_ID": "operator-1"}
    )

    assert (given.lease_namespace, given.lease_name, given.pod) == ("ops", "mine", "operator-1")
    bare = Settings.from_env({})
    assert (bare.lease_namespace, bare.lease_name) == (None, "vendorsync-operator")


def test_namespaces_are_words_between_commas():
    settings = Settings.from_env({"VENDORSYNC_NAMESPACES": "wind, solar,,wind"})

    assert settings.namespaces == ("solar", "wind")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENABLE_PLANT_SYNC_CRON", "maybe"),
        ("PLANT_SYNC_CRON_SCHEDULE", "every minute"),
        ("SYNC_WINDOW_START", "7pm"),
        ("SYNC_WINDOW_START", "06:00"),
        ("VENDORSYNC_TIME_ZONE", "Mars/Base"),
        ("VENDORSYNC_ALLOWED_ENDPOINTS", "{"),
        ("VENDORSYNC_ALLOWED_ENDPOINTS", '[{"origin": "x"}]'),
        ("CONCURRENCY_LIMIT", "0"),
        ("VENDORSYNC_BATCH_SIZE", "many"),
        ("VENDORSYNC_STATUS_INTERVAL_SECONDS", "nan"),
        ("VENDORSYNC_LOG_LEVEL", "LOUD"),
        ("VENDORSYNC_LEGACY_TOKENS", "read"),
        ("VENDORSYNC_JOB_IMAGE_PULL_POLICY", "Sometimes"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_in_one_sentence(name, value):
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({name: value})

    assert "\n" not in str(refused.value)
