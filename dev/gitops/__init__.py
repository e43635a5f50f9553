"""What GitOps tools make of an object: a small Go program on the modules they are made of."""

from dev.gitops.asking import Answer, GitOps, gitops

__all__ = ["Answer", "GitOps", "gitops"]
