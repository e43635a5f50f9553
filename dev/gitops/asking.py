"""The running program: questions and answers are lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Literal

from dev.building import GITOPS, ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Document = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a tool says; `live` and `predicted` are there where it would change the live object."""

    verdict: str
    message: str = ""
    live: Document = field(default_factory=dict)
    predicted: Document = field(default_factory=dict)


class GitOps:
    """A running program; `questions` and `answers` are its two ends."""

    def __init__(self, questions: IO[str], answers: IO[str]) -> None:
        self._questions = questions
        self._answers = answers

    def argo_cd(
        self, wanted: Document, live: Document, mode: Literal["client", "merge", "server"]
    ) -> Answer:
        """Return whether Argo CD shows an object as Synced or OutOfSync.

        `merge` is its diff with the sync option ServerSideApply=true, `server` the one with the
        compare option ServerSideDiff=true, `client` the one with neither.
        """
        return self._ask(ask="argocd", object=wanted, live=live, mode=mode)

    def argo_cd_health(self, live: Document, script: str) -> Answer:
        """Return the health that a check in Lua gives an object."""
        return self._ask(ask="health", object=live, script=script)

    def flux(self, wanted: Document, mode: Literal["apply", "diff"]) -> Answer:
        """Apply an object as Flux does, or tell what that would do, for example configured."""
        return self._ask(ask="flux", object=wanted, mode=mode)

    def kstatus(self, live: Document) -> Answer:
        """Return what Flux and others wait for, such as InProgress, Current or Failed."""
        return self._ask(ask="kstatus", object=live)

    def _ask(self, **question: object) -> Answer:
        """Return the answer, or raise RuntimeError with the words of the tool."""
        self._questions.write(json.dumps(question) + "\n")
        self._questions.flush()
        if not (line := self._answers.readline()):
            raise RuntimeError("the program with the GitOps tools has ended; its words are above")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return Answer(**answer)


@contextmanager
def gitops(kubeconfig: Path | None = None) -> Iterator[GitOps]:
    """Run the program until the block ends; the first time on a machine builds it.

    Diffs ask the cluster of the kubeconfig. Health and kstatus need none.
    """
    env = os.environ | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})
    with subprocess.Popen(
        [ensure(GITOPS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the program with the GitOps tools has no pipes")
        # Leaving the block closes its input, which ends the program.
        yield GitOps(process.stdin, process.stdout)
