"""Monitoring without training: segment, measure, judge and register one bundle on test datasets or a folder."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...base.errors import BundleError, SettingsError
from ...base.files import read_csv, whole_folder
from ...data.clones.adoption import adopt
from ...data.datasets.manifest import CLONES, read_manifest
from ...data.datasets.registry import FROZEN, REGISTRY, Dataset, entry, load_registry
from ...data.datasets.selection import people_with_images
from ...measures.cohort.variants import some_cases, variants
from ...model.bundle.content import Bundle, read_bundle
from ...model.bundle.toolbox import write_toolbox_zip
from ...model.lineage.manifest import IN_BUNDLE, content, contents, read_training_data
from ...model.segmentation.predictions import read_shards
from ...model.segmentation.settings import FAST
from ...pages.canvas import png_bytes
from ...reports.drift_report.contours import Source, contour_figure
from ...store.bundle_files import MEASURES_FILES
from ...store.client import open_store
from ...store.location import VARIABLE, find_location
from ..bundles.named import open_bundle
from .new_dataset import NAME, append_frozen, files_of, measured_contrasts, told_unmatched
from .params import Params, load_params
from .pin import pin_dataset
from .workspace import make_workspace, profile_file, run_dvc
from .yaml_edit import edit_yaml

#: The stages after `segment`, in the order of the pipeline.
STAGES_AFTER_SEGMENT = ("declare", "measure", "floor", "history", "compare", "report", "register")


def monitor(
    root: Path,
    model: Path,
    profile: str,
    label: str | None = None,
    plain: Path | None = None,
    *,
    floors: bool = True,
    say: Callable[[str], None],
) -> Path:
    """Segment, measure, compare, report and register a bundle on the test datasets of a profile.

    The stages run in the scratch workspace ``.monitor/<profile>``, but write to the MLflow store of ``root``. Tables
    and pictures are then copied to ``data/monitored/<profile>`` of ``root``.

    Parameters
    ----------
    root : the workspace that calls
    model : the folder of the bundle, or a zip of it as a release has it
    label : name of the version in reports; by default the one under which the bundle is registered, else the first
        digits of its digest
    plain : a plain BIDS folder, from which the one test dataset of the profile is made in the scratch workspace
    floors : whether some images are segmented again in other ways
    say : receives lines about what is done

    Returns
    -------
    The path of the drift report.

    Raises
    ------
    CordriftError
        ``model`` is not a bundle or was changed, or a stage fails.
    """
    model, verified = _opened(root, model)
    folder = root / ".monitor" / profile
    registered = _registered_label(root, load_params(profile_file(root, profile)), verified.digest)
    params = monitor_workspace(root, folder, profile, label or registered or verified.digest[:8], floors=floors)
    if plain is not None:
        _adopt(folder, plain, params.segment.datasets)
    return _monitored(root, folder, profile, model, verified, params, say)


def monitor_images(
    root: Path,
    model: Path,
    images: Path,
    name: str,
    label: str | None = None,
    *,
    floors: bool = True,
    say: Callable[[str], None],
) -> Path:
    """Monitor everybody in a plain BIDS folder, as :func:`monitor` does, with the present settings and no profile.

    The registered model is called ``cord-<name>``, so that these images have a series of versions of their own. Nothing
    of the workspace ``root`` changes but its store, ``.monitor/<name>`` and ``data/monitored/<name>``.

    Parameters
    ----------
    root : the workspace that calls
    model : the folder of the bundle, or a zip of it
    images : the folder, which is only read
    name : of the dataset in the report
    label, floors, say : as in :func:`monitor`

    Raises
    ------
    CordriftError
        As :func:`monitor`; or the folder holds no image with disc labels, or the name is that of a profile.
    """
    if not re.fullmatch(NAME, name) or (root / f"params/{name}.yaml").is_file():
        raise SettingsError(f"{name!r} cannot name these images; expected letters, digits, '.', '_' and '-', and no "
                            "name of a profile: give another one with --name.")  # fmt: skip
    if not images.is_dir():
        raise SettingsError(f"{images} is not a folder; expected one in BIDS layout (sub-01/anat/sub-01_T2w.nii.gz).")
    paths = files_of(images)
    contrasts, unmatched = measured_contrasts(images, paths)
    measurable = {key: files for key, files in contrasts.items() if "discs" in files}
    for line in told_unmatched(unmatched):
        say(line)
    for key in sorted(contrasts.keys() - measurable.keys()):
        say(f"  Not monitored: {key} has no disc labels, so that no area can be measured at the vertebrae")
    if not measurable:
        raise SettingsError(
            f"{images} holds no image with disc labels, so that nothing can be measured at the vertebrae; expected "
            "files such as derivatives/labels/sub-01/anat/sub-01_T2w_label-discs_dlabel.nii.gz."
        )
    told = {"url": f"data/{name}", "tag": "r1", "commit": None, "licence": "not stated", "role": "test"}
    own: dict[str, Any] = {**told, "contrasts": measurable}
    people = people_with_images(name, Dataset.model_validate(own), paths)
    model, verified = _opened(root, model)
    folder = root / ".monitor" / name
    registered = _registered_label(root, load_params(root / "params.yaml"), verified.digest)

    def settings(params: Any) -> None:
        params["fetch"]["datasets"] = params["segment"]["datasets"] = [name]
        params["segment"]["contrasts"] = list(measurable)
        params["compare"]["min_contrasts"] = min(params["compare"]["min_contrasts"], len(measurable))
        params["report"]["title"] = f"Morphometric drift: {name}"
        params["register"]["model"] = f"cord-{name}"

    monitor_workspace(root, folder, None, label or registered or verified.digest[:8], floors=floors)
    edit_yaml(folder / REGISTRY, lambda registry: registry["datasets"].update({name: own}))
    edit_yaml(folder / "params.yaml", settings)
    append_frozen(folder / FROZEN, name, people)
    _adopt(folder, images, [name])
    return _monitored(root, folder, name, model, verified, load_params(folder / "params.yaml"), say)


def _opened(root: Path, model: Path) -> tuple[Path, Bundle]:
    """Return the folder of a bundle, and the bundle; a zip is unpacked below ``.monitor``."""
    if model.is_file():
        folder = root / ".monitor/.bundle"
        return folder, open_bundle(model, folder)
    return model, read_bundle(model)


def _monitored(
    root: Path, folder: Path, name: str, model: Path, verified: Bundle, params: Params, say: Callable[[str], None]
) -> Path:
    """Run the stages in a scratch workspace, copy what they measured to ``root``, and return the report.

    Parameters
    ----------
    root : the workspace that calls
    folder : the scratch workspace
    name : of the folder below ``data/monitored``
    model, verified : folder of the bundle, and the bundle
    params : of the scratch workspace
    say : receives lines about what is done
    """
    bring_bundle(verified, model, folder)
    run_stages(folder, data_stages(params))
    for line in _planned(folder, params):
        say(line)
    # Name every stage: DVC's option `--downstream` would leave out those that do not depend on `segment`.
    run_stages(folder, [*shard_stages(params), *STAGES_AFTER_SEGMENT], **{VARIABLE: find_location(root).uri})
    _export(folder, root / "data/monitored" / name, params)
    report = folder / "reports/report/index.html"
    say(f"monitor: bundle {verified.digest[:12]} on {name}: {report}")
    return report


def _planned(folder: Path, params: Params) -> list[str]:
    """Say how many images are segmented how often, and how many of them the bundle was trained on.

    The stages show the time that is left for their own.
    """
    manifests = [read_manifest(folder / f"data/fetch/{name}.json") for name in params.segment.datasets]
    cases = [(m, case) for m in manifests for case in m.case_list() if case.contrast in params.segment.contrasts]
    said = f"monitor: {len(cases)} images to segment"
    if params.floor.participants == 0:
        lines = [f"{said}; no floors"]
    else:
        again = len(some_cases(manifests, params.segment.contrasts, params.floor.participants))
        ways = len(variants(params.segment, params.floor))
        lines = [f"{said}, then for the floors {again} of them {ways} times again (--no-floors leaves that out)"]
    with contextlib.suppress(BundleError):  # a bundle from before the manifest existed
        trained = read_training_data(folder / "data/package" / IN_BUNDLE)
        known = contents(case.image_key for case in trained.cases.values())
        seen = sum(content(m.keys[case.image]) in known for m, case in cases)
        if seen:
            lines.append(
                f"monitor: warning: the bundle was trained on {seen} of these {len(cases)} images; what is measured on "
                "them says nothing about new ones"
            )
    return lines


def _registered_label(root: Path, settings: Params, digest: str) -> str:
    """Return the label under which the bundle is registered, which must not change; ``""`` where it is not."""
    database = find_location(root).database
    if settings.history.offline or (database is not None and not database.is_file()):
        return ""
    versions = open_store(settings.registration.model, root).versions()
    return next((v.tags.get("label", "") for v in versions if v.tags.get("digest") == digest), "")


def monitor_workspace(
    root: Path,
    folder: Path,
    profile: str | None,
    label: str,
    device: str | None = None,
    *,
    floors: bool = True,
    images: bool = True,
) -> Params:
    """Make or refresh a scratch workspace and return its params.

    Parameters
    ----------
    root : the checkout or workspace whose code and profiles are used
    folder : the scratch workspace
    profile : whose settings are used; None for the present ones of ``root``
    label : name of the version in reports
    device : for inference, instead of the device that the profile names; the numbers are then another series
    floors : whether some images are segmented again in other ways
    images : whether the report may show anatomy, where the profile allows it too
    """

    def edit(params: Any) -> None:
        params["register"].update(label=label)
        if device not in (None, params["segment"]["device"]):
            params["segment"].update(device=device, backend=FAST[device])
        if not floors:
            params["floor"].update(participants=0)
        if not images:
            params["report"].update(images=False)

    make_workspace(root, folder, profile)
    edit_yaml(folder / "params.yaml", edit)
    return load_params(folder / "params.yaml")


def bring_bundle(verified: Bundle, model: Path, folder: Path) -> None:
    """Copy a verified bundle from the folder ``model`` into a workspace."""
    with whole_folder(folder / "data/package") as part:
        # The zip for the toolbox contains pickles, and the digest does not cover it: write it again, do not copy it.
        shutil.copytree(model, part, dirs_exist_ok=True, ignore=shutil.ignore_patterns("nnunet.zip"))
        write_toolbox_zip(verified, part / "nnunet.zip")


def data_stages(params: Params) -> list[str]:
    """Return the names of the stages that fetch and check the test datasets."""
    return [f"{verb}@{name}" for verb in ("fetch", "check") for name in params.segment.datasets]


def shard_stages(params: Params, shards: Sequence[int] | None = None) -> list[str]:
    """Return the names of the stages that segment these shards of each test dataset; by default all shards."""
    chosen = params.segment.shards if shards is None else shards
    return [f"segment@{name}-{shard}" for name in params.segment.datasets for shard in chosen]


def run_stages(folder: Path, stages: Sequence[str], **environment: str) -> None:
    """Run these stages of a workspace and no others; DVC skips a stage whose inputs have not changed.

    ``environment``: variables that DVC and the stages get besides those of this process.
    """
    # Without training data there is nothing to survey, but DVC asks for every input of `report`.
    (folder / "reports/survey").mkdir(parents=True, exist_ok=True)
    run_dvc(folder, "repro", "--single-item", *stages, **environment)


def _export(folder: Path, out: Path, params: Params) -> None:
    """Write the tables, and one picture for each participant, into the folder ``out``."""
    manifests = [read_manifest(folder / f"data/fetch/{name}.json") for name in params.segment.datasets]
    segmentation = read_shards(folder / "reports/segment", params.segment.datasets, params.segment.shards)
    measures = read_csv(folder / "reports/measure/measures.csv", text=("dataset", "participant", "session", "contrast"))
    people = sorted({(case.dataset, case.participant, case.session) for m in manifests for case in m.case_list()})
    source = Source(manifests, segmentation, measures, params.measure.levels, folder / CLONES)
    with whole_folder(out) as part:
        for name in MEASURES_FILES:
            shutil.copyfile(folder / "reports/measure" / name, part / name)
        for dataset, participant, session in people[
            :12
        ]:  # more pictures would make the report too long to look through
            panels = source.panels(dataset, participant, session, params.segment.contrasts)
            (part / f"{participant}.png").write_bytes(png_bytes(contour_figure(panels)))


def _adopt(folder: Path, plain: Path, datasets: list[str]) -> None:
    """Make the test dataset of a scratch workspace from a plain folder and pin it in the registry of this workspace."""
    if len(datasets) != 1:
        raise SettingsError(f"A plain folder can stand for one test dataset; this profile has {', '.join(datasets)}.")
    (name,) = datasets
    tag = entry(load_registry(folder / REGISTRY), name, folder / REGISTRY).tag
    edit_yaml(folder / REGISTRY, lambda registry: registry["datasets"][name].update(url=f"data/{name}"))
    pin_dataset(folder / REGISTRY, name, tag, adopt(plain, folder / f"data/{name}", tag))
