"""The command ``cordrift``: the stages and the commands around them, by one name each."""

from __future__ import annotations

import sys
from importlib import import_module

from .core.base.errors import did_you_mean, run

STAGES = (
    "fetch",
    "check",
    "prepare",
    "train",
    "package",
    "segment",
    "declare",
    "measure",
    "floor",
    "history",
    "compare",
    "report",
    "register",
)
#: Commands that are no stage, with what they do.
COMMANDS = {
    "demo": "the whole loop on a generated cohort (what `make demo` runs); --micro: its smallest size",
    "profile": "make a file of params/ the params of this workspace",
    "phantom": "generate the cohort and publish it as a DataLad dataset",
    "pin": "write the commit that a dataset's tag points to into the registry",
    "accept-edit": "record that an edit of comments or layout changes no output: `dvc repro` then skips it",
    "withdraw": "leave a participant out for ever, and find what was made of the data",
    "diff-data": "what two model versions were trained on: added, removed, relabelled",
    "diff-metrics": "two reports/compare/metrics.json side by side, as a Markdown table",
    "gate": "exit status 1 unless the verdict of reports/compare/drift.json lets the version pass",
    "promote": "accept a version with a reason: it becomes champion and anchor",
    "import-release": "an earlier release's CSA table as a prior version: shown, judging nothing",
    "seed": "the same training with another seed, as a floor for drift",
    "measure": "masks of your own, with the pipeline's ruler (with no argument: the stage)",
    "doctor": "what this machine and workspace have, and what `dvc repro` would run",
    "release": "one job of a release on GitHub: plan, data, segment, judge, publish, accept, restore",
    "retrain": "a retraining on a runner: pull, train up to the bundle, push",
    "draft": "a retrained bundle as a draft release on GitHub",
    "monitor": "the monitoring half alone: a bundle on a profile's test datasets",
    "dashboard": "open MLflow on this workspace's store",
    "store": "mend a local MLflow store after its folder was moved",
}


def usage() -> str:
    """Return the list of commands."""
    lines = [f"  {name:<14} {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: cordrift COMMAND [...]   (`cordrift COMMAND --help` for its options)",
            "",
            *lines,
            "",
            f"Stages, run by `dvc repro` in order: {', '.join(STAGES)}",
        ]
    )


def main() -> None:
    """Hand over to the module of the command."""
    if len(sys.argv) < 2 or sys.argv[1] in {"-h", "--help"}:
        print(usage())
        sys.exit(0 if len(sys.argv) > 1 else 2)
    name = sys.argv[1]
    if name not in (*STAGES, *COMMANDS):
        print(
            f"cordrift: there is no command {name!r}{did_you_mean(name, (*STAGES, *COMMANDS))}\n\n{usage()}",
            file=sys.stderr,
        )
        sys.exit(2)
    # The stage takes no argument; with one, it is about files that no pipeline knows.
    name = "measure-files" if name == "measure" and len(sys.argv) > 2 else name
    sys.argv = [f"cordrift {name}", *sys.argv[2:]]
    run(import_module(f".{name.replace('-', '_')}", __package__).main)


if __name__ == "__main__":
    main()
