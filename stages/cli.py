"""The command ``cordrift``, which starts the stages and the other commands by their names."""

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
#: Commands that are not stages, with what they do.
COMMANDS = {
    "demo": "the whole loop on a generated cohort (what `make demo` runs); --micro: its smallest size",
    "profile": "use a file of params/ as the params of this workspace",
    "phantom": "generate the cohort and publish it as a DataLad dataset",
    "pin": "write the commit that a dataset's tag points to into the registry",
    "commit-edit": "record that an edit of comments or layout changes no output: `dvc repro` then skips it",
    "withdraw": "exclude a participant for good, remove the data, and list all remaining copies",
    "diff-data": "what two model versions were trained on: added, removed, relabelled",
    "compare-tables": "two tables of measures, ours or of SCT: what moved, how surely, and how to convert",
    "power": "what the rule of compare would do, before it is declared: chances to pass, drifts caught, margins",
    "diff-metrics": "two reports/compare/metrics.json side by side, as a Markdown table",
    "gate": "exit status 1 unless the verdict in reports/compare/drift.json passes",
    "promote": "accept a version with a reason: it becomes champion and anchor",
    "import-release": "register the CSA table of an earlier release as a version that is shown and does not judge",
    "seed": "train again with another seed, to find the drift that retraining alone causes",
    "measure": "measure masks of your own with the pipeline's ruler (without arguments: the stage)",
    "check": "check files of your own, or a folder (with a slash); with the name of a dataset: the stage",
    "doctor": "check this machine and workspace, and tell what `dvc repro` would run",
    "release": "one job of a release on GitHub: plan, data, segment, judge, publish, accept, restore",
    "retrain": "a retraining on a runner: pull, train up to the bundle, push",
    "draft": "a retrained bundle as a draft release on GitHub",
    "monitor": "monitor a bundle on the test datasets of a profile, without training",
    "dashboard": "open MLflow's pages on the store of this workspace",
    "store": "repair the paths in a local MLflow store after its folder was moved",
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


def _is_path(word: str) -> bool:
    return not word.startswith("-") and ("/" in word or word.endswith((".nii", ".nii.gz")))


def main() -> None:
    """Run the ``main`` of the module that belongs to the command."""
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
    # The stage `measure` takes no argument; with arguments the command measures the files that they name.
    name = "measure-files" if name == "measure" and len(sys.argv) > 2 else name
    # `check` takes the name of a dataset, or files and folders; a folder is written with a slash.
    name = "check-files" if name == "check" and any(_is_path(word) for word in sys.argv[2:]) else name
    sys.argv = [f"cordrift {name}", *sys.argv[2:]]
    run(import_module(f".{name.replace('-', '_')}", __package__).main)


if __name__ == "__main__":
    main()
