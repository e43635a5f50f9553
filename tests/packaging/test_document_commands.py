"""Every command of the pages is one that its program takes, and can be given again."""

import re
import subprocess
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from dev.cluster import toolchain
from dev.cluster.progress import Progress
from tests.packaging.pages import PAGES, ROOT, commands_of, files
from vendorsync_api import run
from vendorsync_job.__main__ import parser as job_parser
from vendorsync_operator.__main__ import _parser as operator_parser
from vendorsync_operator.files import load
from vendorsync_operator.settings import ScheduleDefaults
from vendorsync_operator.spec import resolve

PARSERS = {"vendorsync_operator": operator_parser, "vendorsync_job": job_parser}
FLAGS = {
    "kubectl": {
        "apply": "-f -n --server-side --force-conflicts",
        "create": "-n -o --dry-run --from --from-literal",
        "delete": "-f -l -n --all --all-namespaces --ignore-not-found",
        "describe": "-n",
        "exec": "-i -n",
        "explain": "",
        "get": "-l -n -o --all-namespaces",
        "label": "-l -n --all-namespaces",
        "patch": "--namespace --patch-file",
        "logs": "-l -n --tail",
        "scale": "-n --replicas",
        "wait": "-l -n --for --timeout",
    },
    "helm": {
        "history": "--namespace",
        "rollback": "--namespace --wait",
        "template": "--namespace --show-only",
        "uninstall": "--namespace --ignore-not-found",
        "get": "--namespace --output",
        "upgrade": "--namespace --install --create-namespace --set --values --take-ownership"
        " --reset-then-reuse-values --timeout --wait --wait-for-jobs",
    },
    "docker": {"build": "-t --build-arg --target", "push": "", "run": "-v --rm"},
}
"""Verbs of a program and their flags; what is not here is a slip of the pen, or is to be added."""
VALUED = frozenset(
    {
        "-f",
        "-l",
        "-n",
        "-o",
        "-t",
        "-v",
        "--build-arg",
        "--namespace",
        "--patch-file",
        "--set",
        "--show-only",
    }
    | {"--target", "--timeout", "--values", "--output"}
)
"""Flags whose value may be the next word."""
KINDS = {"all", "cronjobs", "crd", "deployment", "job", "lease", "namespace", "secret", "vs"}
OTHERS = {".", "curl", "make", "openssl", "pip", "psql", "pytest", "python", "sed"}
CHART = ROOT / "charts" / "vendorsync"


class Command:
    """A command of a page: its words, its flags with their values, and the other words."""

    def __init__(self, page, words):
        self.page, self.words = page, words
        self.program = words[0].removeprefix(".venv/bin/")
        self.flags, self.others = [], []
        rest = takewhile(lambda word: word != "--", words[1 : self.end])
        for word in rest:
            if not word.startswith("-") or word == "-":
                self.others.append(word)
                continue
            name, equals, value = word.partition("=")
            self.flags.append((name, value if equals or name not in VALUED else next(rest)))

    def __repr__(self):
        return f"{self.page}: {' '.join(self.words)}"

    @property
    def end(self):
        """Where the words end that are the program's own: what follows an image is its own."""
        images = (i for i, word in enumerate(self.words) if re.search(r"-syncjob:\d", word))
        return next(images, None) if self.words[:2] == ["docker", "run"] else None

    @property
    def verb(self):
        return self.others[0] if self.others else ""

    def values(self, flag):
        return [value for name, value in self.flags if name == flag]


COMMANDS = [Command(page.name, words) for page in PAGES for words in page.commands]


def of(program):
    found = [command for command in COMMANDS if command.program == program]
    assert found
    return found


def test_commands_of_a_shell_text_are_taken_apart():
    text = "a 'b c' | d -- e  # f\ng \\\n  h$(date +%s) && i"

    assert list(commands_of(text)) == [
        ["a", "b c"],
        ["d", "--", "e"],
        ["g", "h$SECOND"],
        ["i"],
    ]


def test_every_program_is_known_here():
    assert [c for c in COMMANDS if c.program not in FLAGS.keys() | OTHERS] == []


@pytest.mark.parametrize("program", FLAGS)
def test_the_program_has_the_verb_and_the_flags(program):
    verbs = FLAGS[program]

    assert [
        command
        for command in of(program)
        if {name for name, _ in command.flags}
        - set(verbs.get(command.verb, "no such verb").split())
        or command.verb not in verbs
    ] == []


@pytest.mark.e2e
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("program", ["kubectl", "helm"])
def test_the_program_itself_knows_the_flags(program):
    """Asked for its help, a program still refuses flags that it does not know."""
    binary = toolchain.KUBECTL if program == "kubectl" else toolchain.HELM
    path = toolchain.ensure_binaries((binary,), Progress()) / program

    def answer(command):
        own = takewhile(lambda word: word != "--", command.words[1:])
        return subprocess.run([path, *own, "--help"], check=False, capture_output=True, text=True)

    answers = {command: answer(command) for command in of(program)}
    assert {c: each.stderr for c, each in answers.items() if each.returncode} == {}


def test_kubectl_is_asked_for_kinds_that_there_are():
    kinds = [
        (command, command.others[1].partition("/")[0])
        for command in of("kubectl")
        if command.verb in ("delete", "describe", "get", "scale", "wait") and command.others[1:]
    ]

    assert [command for command, kind in kinds if kind not in KINDS] == []


def test_make_has_the_targets_and_the_variables():
    makefile = (ROOT / "Makefile").read_text()

    def is_known(word):
        variable, equals, _ = word.partition("=")
        if equals:
            return f"$({variable})" in makefile
        return re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE) is not None

    assert [c for c in of("make") if not all(map(is_known, c.words[1:]))] == []


def takes(parser, arguments):
    try:
        parser().parse_args(arguments)
    except SystemExit:
        return False
    return True


def test_modules_take_their_arguments():
    modules = []
    for command in COMMANDS:
        words = list(takewhile(lambda word: word not in "<>", command.words))
        if "-m" in words:
            module, *arguments = words[words.index("-m") + 1 :]
            modules.append((command, PARSERS[module], arguments))

    assert len(modules) > 5
    assert [c for c, parser, arguments in modules if not takes(parser, arguments)] == []


def test_an_image_takes_its_arguments():
    runs = [command for command in of("docker") if command.verb == "run"]

    assert [c for c in runs if not takes(job_parser, c.words[c.end + 1 :])] == []


def test_dockerfiles_have_the_targets_and_the_arguments():
    sample = (ROOT / "examples/sample-vendor/Dockerfile").read_text()
    for command in of("docker"):
        file = (ROOT / "Dockerfile").read_text() if command.others[-1] == "." else sample
        assert [name for name in command.values("--target") if f" AS {name}\n" not in file] == []
        names = [given.partition("=")[0] for given in command.values("--build-arg")]
        assert [name for name in names if f"ARG {name}\n" not in file] == []


def test_images_have_the_version_of_the_chart():
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]

    tags = {tag for c in of("docker") for word in c.words for tag in re.findall(r":(\d.*)", word)}

    assert tags == {version}


def test_values_that_are_set_are_values_of_the_chart():
    for setting in (value for command in of("helm") for value in command.values("--set")):
        found = yaml.safe_load((CHART / "values.yaml").read_text())
        for key in setting.partition("=")[0].split("."):
            found = found[key]


def test_files_that_are_named_exist():
    """A name that begins with `my-` is the reader's own file."""
    top = {path.name for path in ROOT.iterdir() if path.is_dir()} - {".venv"}

    def is_missing(word):
        folder, slash, _ = word.partition("/")
        if not (slash and folder in top) and Path(word).suffix not in (".json", ".yaml"):
            return False
        base = CHART if folder == "templates" else ROOT
        return not word.startswith("my-") and not (base / word).exists()

    words = [(c, word.rpartition("=")[2]) for c in COMMANDS for word in c.words]
    assert [command for command, word in words if is_missing(word)] == []


def test_jobs_by_hand_are_made_from_cron_jobs_of_the_samples():
    samples = set(files("manifests/samples/*.yaml")) - {"manifests/samples/secrets.yaml"}
    resources = [resource for file in samples for resource in load(str(ROOT / file))]
    known = {
        f"cronjob/{assignment.cron_job}"
        for resource in resources
        for assignment in resolve.assignments(resource, ScheduleDefaults())
    }

    named = {value for command in of("kubectl") for value in command.values("--from")}

    assert named
    assert named <= known


def test_a_job_by_hand_has_a_new_name_each_time():
    """Kubernetes refuses the second Job of a name. The demo puts the time into its `{job}`."""
    texts = {name: (ROOT / name).read_text() for name in files("*.md", "dev/*.py")}

    jobs = [
        (file, name)
        for file, text in texts.items()
        for name in re.findall(r"kubectl create job (?!--)(.*) --from", text)
    ]

    assert len(jobs) > 3
    assert [job for job in jobs if "$(date +%s)" not in job[1] and job[1] != "{job}"] == []


def test_what_is_created_may_exist_already():
    created = [c for c in of("kubectl") if c.verb == "create" and c.others[1] != "job"]

    assert [command for command in created if command.values("--dry-run") != ["client"]] == []


def test_labels_that_are_selected_by_are_set():
    chart = "".join((ROOT / name).read_text() for name in files("charts/vendorsync/templates/*"))
    ours = {
        *(run.RESOURCE_LABEL, run.VENDOR_LABEL, run.STREAM_LABEL, run.ORGANIZATION_LABEL),
        run.INSTANCE_LABEL,
    }

    def is_set(label):
        key, _, value = label.partition("=")
        by_run = key in ours or (key, value) == (run.MANAGED_BY_LABEL, run.MANAGED_BY)
        return by_run or f"{key}: {value}\n" in chart

    selectors = [value for command in of("kubectl") for value in command.values("-l")]
    assert [s for s in selectors if not all(map(is_set, s.split(",")))] == []
