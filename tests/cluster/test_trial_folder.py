"""The folder that `make try KEEP=…` fills: whose it may be."""

import pytest

from dev.trial.folder import FolderError, claimed


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "run.json").write_text("mine")

    with pytest.raises(FolderError, match="holds other files"), claimed(tmp_path):
        pass

    assert (tmp_path / "run.json").read_text() == "mine"


def test_a_folder_serves_one_trial_after_another_and_not_two_at_once(tmp_path):
    folder = tmp_path / "new"
    with claimed(folder):
        (folder / "run.json").write_text("of the first")
        with pytest.raises(FolderError, match="a trial is using"), claimed(folder):
            pass

    with claimed(folder) as again:
        assert (again / "run.json").exists()
