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
        ("SYNC_WINDOW_END", "none"),
        ("VENDORSYNC_RUN_AS_USER", "0"),
        ("VENDORSYNC_RUN_AS_USER", "root"),
        ("VENDORSYNC_RUN_AS_USER", "2147483648"),
        ("VENDORSYNC_INSTANCE", "a/b"),
        ("VENDORSYNC_RUN_LABELS", "team"),
        ("VENDORSYNC_RUN_LABELS", '["team"]'),
        ("VENDORSYNC_RUN_LABELS", '{"team": 7}'),
        ("VENDORSYNC_RUN_LABELS", '{"team": "a b"}'),
        ("VENDORSYNC_RUN_ANNOTATIONS", '{"sidecar.istio.io/inject": false}'),
        ("VENDORSYNC_RUN_ANNOTATIONS", '{"a key": "x"}'),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_in_one_sentence(name, value):
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({name: value})

    assert "\n" not in str(refused.value)


@pytest.mark.requirement("R16")
def test_no_restricted_hours_is_a_word_since_an_empty_variable_means_the_default():
    said = Settings.from_env({"SYNC_WINDOW_START": "none", "SYNC_WINDOW_END": "None"})
    empty = Settings.from_env({"SYNC_WINDOW_START": "", "SYNC_WINDOW_END": ""})

    assert said.schedule.window is None
    assert empty.schedule.window == Window(19 * 60, 6 * 60)


@pytest.mark.parametrize(("value", "user"), [("", 65_532), ("1000650000", 1_000_650_000)])
def test_runs_have_the_user_of_the_images_unless_another_is_named(value, user):
    assert Settings.from_env({"VENDORSYNC_RUN_AS_USER": value}).run_as_user == user


def test_a_cluster_that_chooses_users_itself_is_left_to():
    assert Settings.from_env({"VENDORSYNC_RUN_AS_USER": "none"}).run_as_user is None


def test_labels_and_annotations_of_runs_are_json_objects():
    settings = Settings.from_env(
        {
            "VENDORSYNC_RUN_LABELS": '{"team": "solar", "azure.workload.identity/use": "true"}',
            "VENDORSYNC_RUN_ANNOTATIONS": '{"sidecar.istio.io/inject": "false"}',
        }
    )

    assert settings.run_labels == {"team": "solar", "azure.workload.identity/use": "true"}
    assert settings.run_annotations == {"sidecar.istio.io/inject": "false"}


def test_an_operator_is_an_instance_of_its_own_if_it_is_told_so():
    assert Settings.from_env({}).instance == "vendorsync"
    assert Settings.from_env({"VENDORSYNC_INSTANCE": "ops.solar"}).instance == "ops.solar"
