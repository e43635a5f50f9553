"""The pages of the checkout: links that lead somewhere, examples that hold, plain English."""

import re
import tomllib
from collections import deque
from hashlib import sha256
from pathlib import PurePosixPath

import pytest
from ruamel.yaml import YAML

from dev.stack.images import PRODUCT
from tests.antique import ANTIQUE
from tests.packaging.pages import AT, GENERATED, PAGES, ROOT, files
from vendorsync_operator.files import load

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WRITTEN = [page for page in PAGES if page.name not in GENERATED]
README = AT[ROOT / "README.md"]
README_LINES = 150
LANGUAGES = {"dockerfile", "sh", "text", "yaml"}
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""SHA-256 of the license as apache.org publishes it."""


def named(page):
    return page.name


def target(page, link):
    """Return the file that a relative link of a page leads to, and the anchor in it."""
    path, _, anchor = link.partition("#")
    return (page.path.parent / path).resolve() if path else page.path, anchor


def relative_links(page):
    return [target(page, link) for link in page.links if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_relative_links_lead_to_files(page):
    assert [path for path, _ in relative_links(page) if not path.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_anchors_are_headings(page):
    anchors = [(path, anchor) for path, anchor in relative_links(page) if anchor]

    assert [(path, anchor) for path, anchor in anchors if anchor not in AT[path].anchors] == []


def test_headings_of_a_page_are_told_apart():
    assert [page.name for page in WRITTEN if page.repeated - {"added", "changed", "fixed"}] == []


def test_every_page_is_found_from_the_readme():
    found, waiting = {README.path}, deque([README])
    while waiting:
        for path, _ in relative_links(waiting.popleft()):
            if path.suffix == ".md" and path not in found:
                found.add(path)
                waiting.append(AT[path])

    assert [page.name for page in PAGES if page.path not in found] == []


def test_the_readme_is_one_page():
    assert len(README.text.splitlines()) <= README_LINES


def test_the_readme_shows_the_way_of_the_data():
    (picture, *_) = [text for language, text in README.fences if language == "text"]

    assert picture.isascii()
    for word in ("VendorSync", "operator", "CronJob", "run", "vendor's cloud", "PostgreSQL"):
        assert word in picture


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_blocks_say_their_language(page):
    assert {language for language, _ in page.fences} <= LANGUAGES


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_resources_of_the_pages_are_valid(page, tmp_path):
    for number, (language, text) in enumerate(page.fences):
        if language == "yaml":
            file = tmp_path / f"{number}.yaml"
            file.write_text(text)
            assert load(str(file)) if "kind:" in text else YAML(typ="safe").load(text)


def test_the_smallest_resource_is_the_sample():
    sample = (ROOT / "manifests/samples/smallest.yaml").read_text()
    shown = [text for language, text in README.fences if language == "yaml"]

    assert shown == [re.sub(r"^#.*\n", "", sample, flags=re.MULTILINE)]


# Words


def antique(texts):
    return [
        (text, f"write {better}")
        for words, better in ANTIQUE.items()
        for text in texts
        if re.search(words, text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_words_are_those_of_the_readers(page):
    assert antique(page.prose) == []


@pytest.mark.parametrize("name", files("manifests/samples/*.yaml"))
def test_words_of_the_samples_are_those_of_the_readers(name):
    assert antique(re.findall(r"# (.*)", (ROOT / name).read_text())) == []


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_a_sentence_is_no_chain(page):
    sentences = [
        sentence for text in page.prose for sentence in re.split(r"(?<=[.!?:])\s+|\|", text)
    ]

    assert [sentence for sentence in sentences if sentence.count(";") > 1] == []


# License and what surrounds it


def test_the_license_is_apache_2():
    assert sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]
    assert "LICENSE" in README.links


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_the_readme_leads_to(name):
    assert name in README.links
    assert len(AT[ROOT / name].text.splitlines()) < 80


def test_the_images_are_built_from_all_that_the_metadata_names():
    wanted = {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml"}
    dockerfile = (ROOT / "Dockerfile").read_text()
    (copied,) = re.findall(r"^COPY (pyproject\.toml .*) /src/$", dockerfile, re.MULTILINE)
    allowed = (ROOT / ".dockerignore").read_text().splitlines()

    assert set(copied.split()) == wanted
    assert wanted <= set(PRODUCT)
    assert {f"!{PurePosixPath(name).parts[0]}" for name in wanted} <= set(allowed)


# Decisions


def test_every_decision_is_in_the_index():
    decisions = AT[ROOT / "DECISIONS.md"]
    headings = re.findall(r"^## (\d+)\. ", decisions.text, re.MULTILINE)
    linked = [link.removeprefix("#") for link in decisions.links if re.match(r"#\d+-", link)]

    assert headings == [str(number) for number in range(1, len(headings) + 1)]
    assert sorted({link.partition("-")[0] for link in linked}, key=int) == headings
