"""The demo: the whole loop on a generated cohort that grows, in a scratch workspace.

v1 is trained on the first revision of the cohort (few participants, three contrasts). New participants and contrasts
come without masks: v1 and the starter model draft them, and a scripted reviewer, who knows the truth, looks at each
draft. What passes or is corrected makes the second revision, on which v2 is trained, with domain-randomised volumes.
Both are monitored on the same frozen participants, and v2 on real MRI too if there is any. A second run continues where
the first one stopped. At the end the demo checks the figures that the README names. In its smallest size it shows that
everything runs, but not that a model is good.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..base.errors import CordriftError
from ..base.files import read_csv, read_json, write_json
from ..data.datasets.registry import REGISTRY
from ..phantom.dataset.cohort import find_revision
from ..phantom.dataset.publish import IMAGES_ONLY, publish, tagged_commit, truth_of
from ..store.client import open_store
from ..store.location import forget_server
from ..workspace.bundles.named import STARTER, STARTER_FOLDER
from ..workspace.runs.monitor import monitor
from ..workspace.runs.other_seed import train_again
from ..workspace.runs.params import load_params
from ..workspace.runs.pin import pin_dataset
from ..workspace.runs.workspace import make_workspace, run_command, run_dvc
from ..workspace.runs.yaml_edit import edit_yaml
from .check import LEAST_STARTER, dice_figures, figure_lines, growth_figures, loop_figures, real_figures
from .growth import SEEN, grow, growth_lines, pin_grown

#: Why the demo promotes v2 even if its verdict does not pass.
REASON = "trained on every contrast; v1 fails on those it never saw, so that a study should keep to one of the two"


@dataclass(frozen=True)
class Size:
    """The size of the demo.

    Attributes
    ----------
    folder : the scratch workspace, below the checkout
    profile : a file of ``params/`` without its ending; the generated cohort has the same name
    dataset : entry of the registry for training. ``<dataset>-frozen`` is monitored; both lie in ``data/<dataset>``.
    epochs_v1 : epochs of v1; v2 has as many as the profile says
    good : whether the model is large enough for the demo to require a minimal Dice
    """

    folder: str
    profile: str
    dataset: str
    epochs_v1: int
    good: bool


FULL = Size(".demo", "demo", "phantom", 4, good=True)
MICRO = Size(".demo-micro", "micro", "micro", 3, good=False)


def demo(root: Path, size: Size, real: Path | None, seeds: int, say: Callable[[str], None]) -> bool:
    """Run the loop in ``root/<folder>`` and return whether every figure of the final check was reached.

    Parameters
    ----------
    root : the checkout
    real : folder with real MRI on which v2 is monitored; None for none
    seeds : number of seeds with which v2 is trained, at least 1
    say : receives each line about the progress and the result

    Raises
    ------
    CordriftError
        A stage or the promotion fails.
    """
    work, clock = root / size.folder, Clock(say)
    done = work / "v1.json"
    forget_server()  # the demo must never write to the server of a team
    phantom = work / "data" / size.dataset
    with clock.step("phantom: first revision, published as a DataLad dataset"):
        first = publish(phantom, size.profile, "r1", 2)
    if not done.is_file():
        _workspace(root, work, size, first, ("r1", first))
        edit_yaml(work / "params.yaml", lambda params: _first_version(params, size.epochs_v1))
        with clock.step("v1: fetch, prepare, train, segment, measure, compare, report, register"):
            run_dvc(work, "repro")
        # Store the Dice of v1 in a file of its own, because the run of v2 replaces these tables.
        agreement = read_csv(work / "reports/measure/agreement.csv", text=("contrast",))
        write_json(done, {"dice": agreement.groupby("contrast")["dice"].mean().to_dict()})
    _second_revision(root, work, size, first, clock)
    with clock.step("v2: fetch, prepare, train, package"):
        run_dvc(work, "repro", "package")
    on_real = []
    if real is not None:
        # The starter is no version of the demo's series: on the real images it stands beside v2.
        with clock.step("real MRI: the starter model on one real participant, six contrasts"):
            monitor(work, STARTER_FOLDER, "real-cord", STARTER, real, floors=False, say=say)
        on_real = real_figures(work, STARTER, LEAST_STARTER)
        with clock.step("real MRI: v2 on the same images"):
            monitor(work, work / "data/package", "real-cord", "v2", real, say=say)
        on_real += real_figures(work, "v2")
    for seed in range(2, seeds + 1):
        with clock.step(f"v2 once more with seed {seed}: how far numbers move by retraining alone"):
            train_again(work, seed)
    with clock.step("v2: segment, measure, floors, compare with v1, report, register"):
        run_dvc(work, "repro")
    with clock.step("v2: the gate, and a person's decision"):
        # So few participants cannot give the verdict "equivalent". An improvement is a drift too: users must convert.
        if run_command(work, "gate") and run_command(work, "promote", "v2", "--reason", REASON, "--by", "the demo"):
            raise CordriftError(f"v2 could not be promoted in {work}; the lines above say why.")
    say(f"\n{clock.table()}\n")
    figures = loop_figures(work, _aliases(work))
    seen = read_csv(work / SEEN, text=("mark", "contrast", "model"))
    for line in growth_lines(seen):
        say(line)
    say("")
    if size.good:
        figures += growth_figures(seen)
        figures += dice_figures(work, read_json(done)["dice"])
        figures += on_real
    for line in figure_lines(figures):
        say(line)
    say(f"\nDrift report: {work / 'reports/report/index.html'}")
    say(f"Dashboard:    {'make dashboard' if size is FULL else f'cordrift dashboard --workspace {work}'}")
    return all(figure.good for figure in figures)


def _second_revision(root: Path, work: Path, size: Size, first: str, clock: Clock) -> None:
    """Let the dataset grow as a lab's does: new images, drafts, a look at each, and the reviewed masks as ``r2``.

    v1 drafts the contrasts that it knows, and the starter model the others. What failed is kept in a file of its own,
    because a second run makes the registry again.
    """
    phantom, done = work / "data" / size.dataset, work / "growth.json"
    with clock.step("phantom: new participants and contrasts, without masks"):
        images = publish(phantom, size.profile, "r2", 2, masks=False)
    if not tagged_commit(phantom, "r2"):
        _workspace(root, work, size, first, (f"r2-{IMAGES_ONLY}", images))
        edit_yaml(work / "params.yaml", lambda params: params["register"].update(label="v1"))
        known = find_revision(size.profile, "r1").training_contrasts
        new = [name for name in find_revision(size.profile, "r2").training_contrasts if name not in known]
        with clock.step("v1 and the starter draft the masks, a scripted reviewer looks at each"):
            failed = grow(work, size.dataset, truth_of(phantom), {"": "data/package", **dict.fromkeys(new, STARTER)})
            write_json(done, {"failed": failed})
            pin_grown(work, size.dataset, "r2", "v2")
    _workspace(root, work, size, first, ("r2", tagged_commit(phantom, "r2")))
    failed = read_json(done)["failed"]
    edit_yaml(work / REGISTRY, lambda value: value["datasets"][size.dataset].update(exclude_images=failed))
    edit_yaml(work / "params.yaml", lambda params: params["register"].update(label="v2"))


def _aliases(work: Path) -> tuple[str, ...]:
    """Return the aliases of the newest version in the store of the demo."""
    return open_store(load_params(work / "params.yaml").registration.model, work).versions()[-1].aliases


def _workspace(root: Path, work: Path, size: Size, frozen: str, training: tuple[str, str]) -> None:
    """Make or refresh the workspace with the code and the profile of the checkout.

    The generated dataset lies in the workspace itself. The frozen set is pinned to the commit ``frozen`` of the first
    revision, the training data to ``training`` (tag, commit).
    """
    make_workspace(root, work, size.profile)
    names = (size.dataset, f"{size.dataset}-frozen")
    edit_yaml(work / REGISTRY, lambda registry: _use_generated(registry, names))
    for name, (tag, commit) in zip(names, (training, ("r1", frozen)), strict=True):
        pin_dataset(work / REGISTRY, name, tag, commit)


def _use_generated(registry: Any, names: tuple[str, str]) -> None:
    for name in names:
        registry["datasets"][name]["url"] = f"data/{names[0]}"


def _first_version(params: Any, epochs: int) -> None:
    """Change params to those of v1, which is trained briefly and without the remapping of contrasts."""
    params["register"].update(label="v1")
    params["train"].update(epochs=epochs)
    params["train"]["augmentation"].update(contrast_remap=0.0)


@dataclass
class Clock:
    """The duration of each step, in seconds. ``say`` receives the name of a step when it begins."""

    say: Callable[[str], None]
    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step and measure how long it takes."""
        self.say(f"\n== {name}")
        start = time.monotonic()
        yield
        self.steps.append((name, time.monotonic() - start))

    def table(self) -> str:
        """Return one line for each step with its duration, and one for the sum."""
        total = sum(seconds for _, seconds in self.steps)
        rows = [f"{seconds:7.0f} s  {name}" for name, seconds in [*self.steps, ("in all", total)]]
        return "\n".join(rows)
