"""Training of one nnU-Net fold, from the raw layout to weights. It can be resumed and always gives the same weights."""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...base.environment import environment
from ...base.errors import DatasetError, SettingsError
from ...base.files import digest_of, read_json, sha256_of, whole_file, whole_folder, write_json
from ...base.inventory import INVENTORY, faults_of, write_inventory
from ...base.syntax import syntax_of
from .plans import fixed_plans, with_threads
from .settings import Train
from .weights import write_weights

DATASET = "Dataset001_cord"
PLANS = "nnUNetPlans"
#: Output of the stage ``paint``.
PAINTED = Path("data/paint")
#: Options of mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def check_versions(expected: dict[str, str]) -> None:
    """Refuse to train with other library versions than params name, because the versions decide the weights.

    A local part (``2.13.0+cpu``) is not compared: it names the build, not the version.

    Raises
    ------
    SettingsError
        Another version is installed.
    """
    for name, wanted in sorted(expected.items()):
        found = version(name)
        if found.split("+")[0] != wanted:
            raise SettingsError(
                f"params.yaml pins {name} {wanted} (train.versions), but {found} is installed. "
                f"Run `make setup`, or change the pin: then the model is trained again."
            )


def state_digest(data_digest: str, settings: Train, fold: int, painted: Path | None = None) -> str:
    """Return the digest of everything that decides a training. A training with another digest starts from nothing.

    Parameters
    ----------
    data_digest : of the prepared data
    settings, fold : what is trained
    painted : inventory of the painted anatomies; None: there are none
    """
    train = settings.model_dump(exclude={"folds", "save_every"})
    maps = None if painted is None else sha256_of(painted)
    return digest_of({"data": data_digest, "fold": fold, "train": train, "code": _code(), "maps": maps})


def preprocessed_digest(data_digest: str, settings: Train) -> str:
    """Return the digest of everything that decides the preprocessed data, which all folds share."""
    plan = None if settings.plan is None else settings.plan.model_dump()
    chosen = {"plan": plan, "configuration": settings.configuration, "versions": settings.versions}
    return digest_of({"data": data_digest, **chosen, "code": _code()})


def _code() -> list[str]:
    """Return the syntax of the training code, so that no training continues from the state that other code left."""
    return syntax_of(
        Path(__file__).parent, ("fold.py", "painted.py", "plans.py", "schedule.py", "soft.py", "trainer.py")
    )


def keep_memory() -> None:
    """Let this process keep the memory that it frees, where its C library can be told so (glibc).

    By default every large block goes back to the system at once. With large patches a step on a CPU then spends much of
    its time on getting the same blocks again.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)):
            libc.mallopt(option, value)


def nnunet_environment(scratch: Path, settings: Train) -> AbstractContextManager[None]:
    """Return a context in which the environment variables are set that nnU-Net reads."""
    values = {
        "nnUNet_raw": str(scratch / "raw"),
        "nnUNet_preprocessed": str(scratch / "preprocessed"),
        "nnUNet_results": str(scratch / "results"),
        "nnUNet_n_proc_DA": str(settings.workers),
        "nnUNet_def_n_proc": str(settings.threads),
        "nnUNet_compile": "true" if settings.compile else "false",
    }
    return environment(values)


def check_prepared(prepared: Path, names: Iterable[str] | None = None) -> None:
    """Make sure that the training data are the files that ``prepare`` wrote; ``names``: only these of them.

    Raises
    ------
    DatasetError
        A file was cut, edited, added or lost. SimpleITK would read a cut volume as zeros and say nothing.
    """
    faults = faults_of(prepared, names)
    if faults:
        more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
        raise DatasetError(
            f"{prepared}: {faults[0]}{more}. Nothing is trained on it. Delete {prepared}, then `dvc repro` brings it "
            "back, from DVC's cache or from the images. If the same file is wrong again, the cache or the remote is "
            "damaged: `dvc repro --force prepare` writes it again."
        )


def preprocess(prepared: Path, settings: Train, folder: Path) -> dict[str, Any]:
    """Resample the raw data to the plan's grid and return the plans.

    Data that ``folder`` already holds are used again when every file is as it was written, and are else made again.

    Parameters
    ----------
    prepared : folder with ``raw/`` (nnU-Net raw layout), ``manifest.json`` and the inventory of both
    settings : plan and configuration are used here
    folder : folder for the preprocessed data, named by :func:`preprocessed_digest`

    Raises
    ------
    DatasetError
        See :func:`check_prepared`.
    """
    if (folder / INVENTORY).is_file():
        faults = faults_of(folder)
        if not faults:
            plans: dict[str, Any] = read_json(folder / "plans.json")["plans"]
            return plans
        tqdm.write(f"cordrift: {folder}: {faults[0]}; the data are preprocessed again.", file=sys.stderr)
    check_prepared(prepared)
    import torch
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    for stale in folder.parent.glob("preprocessed-*"):
        shutil.rmtree(stale)  # made from other data or another plan; tens of gigabytes at full size
    raw = prepared / "raw"
    dataset_json = json.loads((raw / "dataset.json").read_text(encoding="utf-8"))
    plans = (
        _own_plans(raw, settings, folder)
        if settings.plan is None
        else fixed_plans(settings.plan, settings.configuration)
    )
    # Each resampling sets the thread count of the whole process and restores the one that it found, so two of them at a
    # time can restore each other's. Here all of them find and set 1: each thread of the pool works alone.
    torch.set_num_threads(1)
    manager = PlansManager(with_threads(plans, 1))
    configuration = manager.get_configuration(settings.configuration)
    with whole_folder(folder) as part:
        target = part / DATASET / configuration.data_identifier
        target.mkdir(parents=True)
        cases = [entry["case"] for entry in read_json(prepared / "manifest.json")["cases"]]

        def preprocess_case(case: str) -> None:
            DefaultPreprocessor(verbose=False).run_case_save(
                str(target / case),
                [str(raw / "imagesTr" / f"{case}_0000.nii.gz")],
                str(raw / "labelsTr" / f"{case}.nii.gz"),
                manager,
                configuration,
                dataset_json,
            )

        with ThreadPoolExecutor(settings.threads) as pool, contextlib.redirect_stdout(io.StringIO()):
            list(tqdm(pool.map(preprocess_case, cases), total=len(cases), desc="preprocess", unit="image"))
        # nnU-Net's trainer copies a fingerprint. Ours is empty, because the plan is already made.
        (part / DATASET / "dataset_fingerprint.json").write_text("{}\n", encoding="utf-8")
        write_json(part / "plans.json", {"plans": plans})
        # The splits, which each fold writes, are not part of it.
        write_inventory(part, ("plans.json", f"{DATASET}/dataset_fingerprint.json", f"{DATASET}/*/*"))
    return plans


def _own_plans(raw: Path, settings: Train, folder: Path) -> dict[str, Any]:
    """Let nnU-Net measure the data and make its own plan, as the full-size profile does."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprint_dataset,
        plan_experiment_dataset,
    )

    from .plans import inference_plans

    scratch = folder.parent / f"planning-{folder.name}"
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "raw").mkdir(parents=True)
    (scratch / "raw" / DATASET).symlink_to(raw.resolve(), target_is_directory=True)
    # The planner uses the number of augmentation workers as its number of threads, which must not be 0.
    planning = settings.model_copy(update={"workers": max(1, settings.workers)})
    try:
        with nnunet_environment(scratch, planning):
            extract_fingerprint_dataset(1, num_processes=settings.threads, check_dataset_integrity=False)
            plan_experiment_dataset(1)
        written = scratch / "preprocessed" / DATASET / f"{PLANS}.json"
        plans = json.loads(written.read_text(encoding="utf-8"))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return inference_plans(plans, settings.configuration, "nnU-Net's own plan")


def train_fold(
    prepared: Path,
    out: Path,
    scratch: Path,
    settings: Train,
    fold: int,
    *,
    painted: Path = PAINTED,
    stop: Callable[[int], None] | None = None,
) -> None:
    """Train one fold and write ``weights.safetensors``, ``plans.json``, ``dataset.json`` and ``progress.csv``.

    The state of an interrupted training lies in ``scratch`` under a digest of data, params and code. A later call
    resumes from the last saved epoch and gives the weights of a training that was never interrupted. The state is
    deleted when the training has finished.

    Parameters
    ----------
    prepared : output of ``prepare``
    out : folder to write, whole or not at all
    scratch : folder for state, which git ignores
    settings : the block ``train`` of params
    fold : number of the fold, from 0
    painted : output of ``paint``, which is read where ``painted.share`` is not 0
    stop : called with the number of each finished epoch; a test raises an exception here, as a kill would end it

    Raises
    ------
    SettingsError
        Another library version than params name, a fold that ``prepare`` did not make, or a GPU that is not there.
    DatasetError
        See :func:`check_prepared` and ``read_maps``.
    BundleError
        The training diverged, or the saved state cannot be read.
    """
    check_versions(settings.versions)
    check_prepared(prepared, ("manifest.json", "raw/dataset.json"))
    manifest = read_json(prepared / "manifest.json")
    if fold >= len(manifest["folds"]):
        raise SettingsError(
            f"train.folds asks for fold {fold}, but prepare.folds made {len(manifest['folds'])} (0 to "
            f"{len(manifest['folds']) - 1})."
        )
    # Threads that wait actively would take the core from the thread that works: 10 times slower on shared cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_memory()
    import torch

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "train.device is cuda, and torch finds no GPU here (`cordrift doctor` says which build it is); set it to "
            "cpu, or train on a machine with a GPU and its driver."
        )

    from .painted import read_maps
    from .trainer import Progress, trainer_class

    maps: list[Path] = []
    inventory = None
    if settings.painted.share and settings.plan is not None:
        maps, inventory = read_maps(painted, settings.plan, settings.painted.inwards_mm), painted / INVENTORY
    ready = scratch / f"preprocessed-{preprocessed_digest(manifest['digest'], settings)[:16]}"
    plans = preprocess(prepared, settings, ready)
    # The number of threads decides the order of sums, and so the weights. It is set after the libraries that change it.
    torch.set_num_threads(settings.threads)
    state = scratch / f"train-{state_digest(manifest['digest'], settings, fold, inventory)[:16]}"
    state.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (state / "preprocessed").symlink_to(ready.resolve(), target_is_directory=True)
    with whole_file(ready / DATASET / "splits_final.json") as part:
        part.write_text(json.dumps(manifest["folds"]), encoding="utf-8")
    dataset_json = json.loads((prepared / "raw" / "dataset.json").read_text(encoding="utf-8"))

    with (
        nnunet_environment(state, settings),
        tqdm(total=settings.epochs, desc=f"train fold {fold}", unit="epoch") as bar,
    ):

        def report(progress: Progress) -> None:
            history[int(progress["epoch"])] = progress
            _write_progress(state / "progress.csv", history)
            bar.set_postfix(loss=f"{progress['train_loss']:.3f}", dice=f"{progress['dice']:.3f}")
            bar.update()
            if stop is not None:
                stop(int(progress["epoch"]))

        history = _read_progress(state / "progress.csv")
        device = torch.device(settings.device)
        with contextlib.redirect_stdout(io.StringIO()):
            trainer = trainer_class(settings, maps, report)(
                {**plans, "continue_training": False}, settings.configuration, fold, dataset_json, device
            )
        torch.manual_seed(settings.seed * 100_003 + fold)
        trainer.initialize()
        latest = Path(trainer.output_folder) / "checkpoint_latest.pth"
        if latest.is_file():
            trainer.load_checkpoint(str(latest))
            bar.update(trainer.current_epoch)
        trainer.run_training()
        network = trainer.plain_network
        if trainer.average is not None:
            trainer.average.copy_to(network)
        mirroring = trainer.inference_allowed_mirroring_axes

    with whole_folder(out) as part:
        write_weights(part / "weights.safetensors", network.state_dict())
        write_json(
            part / "plans.json", {"configuration": settings.configuration, "mirroring": mirroring, "plans": plans}
        )
        (part / "dataset.json").write_text(json.dumps(dataset_json, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        _write_progress(part / "progress.csv", history)
        write_json(part / "training.json", _provenance(manifest, settings, fold))
    shutil.rmtree(state)


def _provenance(manifest: dict[str, Any], settings: Train, fold: int) -> dict[str, Any]:
    """Return what made the weights. It is written beside them and is never part of the bundle's digest."""
    import platform

    return {
        "fold": fold,
        "settings": settings.model_dump(),
        "data": {"digest": manifest["digest"], "datasets": manifest["datasets"], "n_cases": len(manifest["cases"])},
        "libraries": {name: version(name) for name in ("torch", "nnunetv2", "numpy", "batchgeneratorsv2")},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def _write_progress(path: Path, history: dict[int, dict[str, float]]) -> None:
    import pandas as pd

    from ...base.files import write_csv

    write_csv(path, pd.DataFrame([history[epoch] for epoch in sorted(history)]).astype({"epoch": int}))


def _read_progress(path: Path) -> dict[int, dict[str, float]]:
    if not path.is_file():
        return {}
    from ...base.files import read_csv

    rows = read_csv(path).drop(columns="schema").to_dict("records")
    return {int(row["epoch"]): {str(key): float(value) for key, value in row.items()} for row in rows}
