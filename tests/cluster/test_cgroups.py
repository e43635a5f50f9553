"""Control groups, on folders that look like the kernel's."""

import pytest

from dev.cluster import cgroups


@pytest.fixture
def version_1(tmp_path):
    for tree in ("cpuset", "memory"):
        (tmp_path / tree).mkdir()
        (tmp_path / tree / "cgroup.procs").touch()
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset" / "cpuset.mems").write_text("0\n")
    (tmp_path / "cpu").symlink_to("memory")
    return tmp_path


def test_a_group_is_made_in_every_tree_of_version_1(version_1):
    cgroups.create("ours", version_1)

    assert (version_1 / "memory" / "ours").is_dir()
    assert (version_1 / "cpuset" / "ours" / "cpuset.cpus").read_text() == "0-1\n"


def test_version_2_gets_the_controllers_that_the_kubelet_wants(tmp_path):
    (tmp_path / "cgroup.controllers").touch()

    cgroups.create("ours", tmp_path)

    assert (tmp_path / "ours").is_dir()
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +cpuset +memory +pids"


def test_a_group_is_removed_with_all_below_it_and_nothing_else(version_1):
    (version_1 / "memory" / "ours" / "pods" / "one").mkdir(parents=True)
    (version_1 / "memory" / "theirs").mkdir()

    cgroups.remove("ours", version_1)

    assert not (version_1 / "memory" / "ours").exists()
    assert (version_1 / "memory" / "theirs").exists()


def test_removing_what_is_not_there_does_nothing(version_1):
    cgroups.remove("ours", version_1)
