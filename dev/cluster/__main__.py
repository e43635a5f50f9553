"""The command line: `python -m dev.cluster up|down|status|env|build-images`."""

import argparse
import signal
import sys
from pathlib import Path

from dev.cluster.choice import choose
from dev.cluster.cluster import Cluster
from dev.cluster.context import DEFAULT_NAME
from dev.cluster.errors import ClusterError
from dev.cluster.images import Image

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Do what the command line says; return the exit code."""
    arguments = _parser().parse_args()
    try:
        cluster = choose(arguments.name)
        match str(arguments.verb):
            case "up":
                cluster.up()
            case "down":
                cluster.down()
            case "status":
                print(cluster.status())
            case "env":
                print(_exports(cluster))
            case _:
                cluster.build_and_load(*(_image(text) for text in arguments.image))
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.cluster", description=__doc__)
    parser.add_argument("--name", default=DEFAULT_NAME, help="a second cluster beside the default")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("up", help="start the cluster, or leave it as it is")
    verbs.add_parser("down", help="remove the cluster with all it holds")
    verbs.add_parser("status", help="say whether it is up")
    verbs.add_parser("env", help="print exports for a shell to evaluate")
    build = verbs.add_parser("build-images", help="build images and put them on the node")
    build.add_argument("image", nargs="+", metavar="TAG=DOCKERFILE[:TARGET]")
    return parser


def _exports(cluster: Cluster) -> str:
    if not cluster.running:
        raise ClusterError(f"{cluster.context} is not up; `make demo` starts it")
    return cluster.exports()


def _image(text: str) -> Image:
    tag, _, source = text.partition("=")
    dockerfile, _, target = source.partition(":")
    return Image(tag, dockerfile=ROOT / dockerfile, context=ROOT, target=target or None)


if __name__ == "__main__":
    sys.exit(main())
