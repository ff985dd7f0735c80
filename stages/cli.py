"""The command ``cordrift``, which starts the stages and the other commands by their names."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from .core.base.errors import SettingsError, did_you_mean, run

STAGES = (
    "fetch",
    "check",
    "prepare",
    "paint",
    "train",
    "package",
    "segment",
    "declare",
    "measure",
    "floor",
    "history",
    "survey",
    "compare",
    "report",
    "register",
)
#: Stages that read options; the others take none.
WITH_OPTIONS = ("fetch", "check", "train", "segment", "report")
#: Commands that work in any folder, with what they do.
ANYWHERE = {
    "segment": "segment images of your own with a bundle, and measure them (without images: the stage)",
    "measure": "measure masks of your own with the pipeline's ruler (without arguments: the stage)",
    "check": "check files of your own, or a folder (with a slash); with the name of a dataset: the stage",
    "compare-tables": "two tables of measures, ours or of SCT: what moved, how surely, and how to convert",
    "diff-metrics": "two reports/compare/metrics.json side by side, as a Markdown table",
    "diff-data": "what two model versions were trained on: added, removed, relabelled",
    "phantom": "generate the cohort and publish it as a DataLad dataset",
    "dashboard": "open MLflow's pages on the store of this workspace",
}
#: Commands of a workspace, with what they do.
IN_WORKSPACE = {
    "demo": "the whole loop on a generated cohort (what `make demo` runs); --micro: its smallest size",
    "new": "bring a folder of your own: dataset, registry, frozen test split and profile in one command",
    "add-data": "take the next revision of a dataset: tag, pin and label",
    "annotate": "draft masks of images without one, and write the page on which people check them",
    "select": "rank the drafts for a person's eyes: by uncertainty, coverage or at random",
    "accept-masks": "take over what people decided on that page, and the masks that they corrected",
    "profile": "use a file of params/ as the params of this workspace",
    "pin": "write the commit that a dataset's tag points to into the registry",
    "doctor": "check this machine and workspace, and tell what `dvc repro` would run",
    "commit-edit": "record that an edit of comments or layout changes no output: `dvc repro` then skips it",
    "withdraw": "exclude a participant for good, remove the data, and list all remaining copies",
    "power": "what the rule of compare would do, before it is declared: chances to pass, drifts caught, margins",
    "gate": "exit status 1 unless the verdict in reports/compare/drift.json passes",
    "promote": "accept a version with a reason: it becomes champion and anchor",
    "retire": "take a version out of the series with a reason; its label is free again",
    "import-release": "register the CSA table of an earlier release as a version that is shown and does not judge",
    "seed": "train again with another seed, to find the drift that retraining alone causes",
    "monitor": "monitor a bundle on the test datasets of a profile, without training",
    "store": "repair the paths in a local MLflow store after its folder was moved",
    "release": "one job of a release on GitHub: plan, data, segment, judge, publish, accept, restore",
    "retrain": "a retraining on a runner: pull, train up to the bundle, push",
    "draft": "a retrained bundle as a draft release on GitHub",
}
COMMANDS = {**ANYWHERE, **IN_WORKSPACE}
#: Package -> the extra of `pip install 'cordrift[...]'` that installs it.
EXTRAS = {
    "batchgeneratorsv2": "segment",
    "nnunetv2": "segment",
    "openvino": "segment",
    "safetensors": "segment",
    "torch": "segment",
    "datalad": "all",
    "dvc": "all",
    "markdown_it": "all",
    "mlflow": "all",
    "requests": "all",
    "ruamel": "all",
    "skimage": "all",
    "sqlalchemy": "all",
}
#: The file that makes a folder a workspace.
PARAMS = Path("params.yaml")


def usage() -> str:
    """Return the list of commands."""
    return "\n".join(
        [
            "usage: cordrift COMMAND [...]   (`cordrift COMMAND --help` for its options, `cordrift --version`)",
            "",
            "In any folder:",
            *(f"  {name:<14} {what}" for name, what in ANYWHERE.items()),
            "",
            "In a workspace (the checkout, with params.yaml):",
            *(f"  {name:<14} {what}" for name, what in IN_WORKSPACE.items()),
            "",
            f"Stages, run by `dvc repro` in order: {', '.join(STAGES)}",
        ]
    )


def _is_path(word: str) -> bool:
    return not word.startswith("-") and ("/" in word or word.endswith((".nii", ".nii.gz")))


def main() -> None:
    """Run the ``main`` of the module that belongs to the command."""
    words = sys.argv[1:]
    if not words or words[0] in {"-h", "--help"}:
        print(usage())
        sys.exit(0 if words else 2)
    if words[0] == "--version":
        print(f"cordrift {version('cordrift')}")
        return
    name, *words = words
    if name not in (*STAGES, *COMMANDS):
        print(
            f"cordrift: there is no command {name!r}{did_you_mean(name, (*STAGES, *COMMANDS))}\n\n{usage()}",
            file=sys.stderr,
        )
        sys.exit(2)
    # The stage `measure` takes no argument; with arguments the command measures the files that they name.
    module = "measure-files" if name == "measure" and words else name
    # `segment` runs its stage in a workspace, or segments the images that it is given; its help is of the latter.
    own = not words[0].startswith(("--dataset", "--shard")) if words else not PARAMS.is_file()
    module = "segment-files" if name == "segment" and own else module
    # `check` takes the name of a dataset, or files and folders; a folder is written with a slash.
    module = "check-files" if name == "check" and any(_is_path(word) for word in words) else module
    sys.argv = [f"cordrift {module}", *words]
    run(lambda: _start(module, words))


def _start(name: str, words: list[str]) -> None:
    """Import the module of a command and run it; say what is missing, of packages and of the workspace.

    Raises
    ------
    SettingsError
        An extra is not installed, this folder is no workspace, or a stage without options got one.
    """
    try:
        module = import_module(f".{name.replace('-', '_')}", __package__)
        asks_help = bool({"-h", "--help"} & set(words))
        if name in STAGES and name not in WITH_OPTIONS and words:
            _explain(name, inspect.getdoc(module) or "", asks_help, words)
            return
        if name in (*STAGES, *IN_WORKSPACE) and not asks_help:
            _require_workspace(name)
        module.main()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise SettingsError(
            f"`cordrift {name.removesuffix('-files')}` needs the package {package}, which is not installed; "
            f"`pip install 'cordrift[{EXTRAS[package]}]'` adds it (in the checkout: `make setup`)."
        ) from error


def _explain(name: str, what: str, asks_help: bool, words: list[str]) -> None:
    if not asks_help:
        raise SettingsError(
            f"the stage {name} takes no options, and got {' '.join(words)}; `dvc repro {name}` runs it."
        )
    print(f"usage: cordrift {name}\n\n{what}\n\nIt takes no options: it reads params.yaml, and `dvc repro` runs it.")


def _require_workspace(name: str) -> None:
    """Refuse a folder without params, and name the workspace above it where there is one."""
    here = Path.cwd()
    if PARAMS.is_file():
        return
    above = [folder for folder in here.parents if (folder / PARAMS).is_file() and (folder / "dvc.yaml").is_file()]
    way = f"the workspace is above it: `cd {above[0]}`" if above else "go to the folder of the checkout"
    raise SettingsError(f"`cordrift {name}` works in a workspace, and {here} has no {PARAMS}; {way}.")


if __name__ == "__main__":
    main()
