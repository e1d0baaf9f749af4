"""Labels out of a study. A further format is one file and one line here; a package adds its own by an entry point.

In that package's ``pyproject.toml``::

    [project.entry-points."napari_penumbra.exporters"]
    my-format = "my_package.my_module:MyExporter"

Nothing is imported until it is asked for.
"""

from __future__ import annotations

from pathlib import Path

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.plugins import Plugins
from napari_penumbra.study.exporters._base import NONE, Exporter, ExportOptions, Item, Job, Written
from napari_penumbra.study.exporters._choose import choose
from napari_penumbra.study.exporters._plan import RECORD, Plan, check_folder, check_own, run
from napari_penumbra.study.exporters._unknown import unknown_value
from napari_penumbra.study.store import Study

GROUP = "napari_penumbra.exporters"
REGISTRY: dict[str, str] = {
    "nifti": "napari_penumbra.study.exporters.nifti:Nifti",
    "nnunet": "napari_penumbra.study.exporters.nnunet:NnUNet",
    "msd": "napari_penumbra.study.exporters.msd:Decathlon",
    "bids": "napari_penumbra.study.exporters.bids:Bids",
    "dicom-seg": "napari_penumbra.study.exporters.dicom_seg:DicomSeg",
    "nrrd": "napari_penumbra.study.exporters.nrrd:SlicerNrrd",
}

_plugins = Plugins(GROUP, REGISTRY, "export format")


def names() -> list[str]:
    """List every format: ours first, then those of installed packages in alphabetical order."""
    return _plugins.names()


def get(name: str) -> type[Exporter]:
    """Return a format.

    Raises
    ------
    UsageError
        No format has this name; or the package that offers it cannot be imported, or offers something else.
    """
    loaded = _plugins.load(name)
    if not (isinstance(loaded, type) and issubclass(loaded, Exporter)):
        raise _plugins.refused(name)
    return loaded


def plan(study: Study, folder: Path, name: str, options: ExportOptions | None = None) -> Plan:
    """Say what an export would write; nothing is written before `Plan.run`.

    Raises
    ------
    UsageError
        There is nothing to export, the folder must not be written to, or the format cannot do what is asked.
    """
    options = options or ExportOptions()
    kind = get(name)
    check_folder(folder, study.layout, options.overwrite)
    _check(kind, options)
    kind.check(study, options)
    items, left = choose(study, options)
    job = Job(study, folder, options, items)
    exporter = kind(job)
    job.values = exporter.values()
    job.unknown = unknown_value(options.unknown or kind.habit, study.labels, max(job.values.values()))
    kept = []
    for item in items:
        why = _why_not(exporter, item)
        if why:
            left.append((item.name, why))
        else:
            kept.append(item)
    job.items = kept
    if not any(item.labels is not None for item in kept):
        raise _nothing(options, left)
    files = [(item.name, path) for item in kept for path in exporter.files(item)]
    files += [("", path) for path in (*exporter.index_names(), RECORD)]
    return Plan(
        folder,
        kind.title,
        len(kept),
        tuple(files),
        tuple(left),
        tuple(exporter.notes()),
        lambda: run(job, exporter, name),
    )


def _check(kind: type[Exporter], options: ExportOptions) -> None:
    if options.unlabelled not in kind.places:
        places = ", ".join(kind.places)
        raise UsageError(
            f"{kind.title} has no place called {options.unlabelled} for cases without labels.",
            f"Give --unlabelled {places}." if len(kind.places) > 1 else "Leave --unlabelled out.",
        )
    if options.dicom is not None and not kind.takes_dicom:
        raise UsageError(f"{kind.title} takes no DICOM series.", "Leave --dicom out, or choose the format dicom-seg.")
    if options.confidence and not kind.confidence_beside:
        raise UsageError(
            f"{kind.title} has no place for a confidence map.",
            "Leave it out, or use NIfTI.",
        )


def _why_not(exporter: Exporter, item: Item) -> str:
    if item.picture and not exporter.pictures:
        return f"it is a picture, and {exporter.title} is for scans"
    missing = [m for m in exporter.job.study.modalities if m not in item.images]
    if missing and (exporter.every_modality or not item.images):
        return f"{', '.join(missing)} is missing, and {exporter.title} wants every image of every case"
    return exporter.why_not(item)


def _nothing(options: ExportOptions, left: list[tuple[str, str]]) -> UsageError:
    if not left:
        return UsageError("There is nothing to export: the study has no cases.", "Add cases first.")
    reasons: dict[str, list[str]] = {}
    for name, why in left:
        reasons.setdefault(why, []).append(name)
    said = [f"{names[0] if len(names) == 1 else f'{len(names)} cases'}: {why}" for why, names in reasons.items()]
    more = [word for word, on in (("drafts", options.drafts), ("predictions", options.predictions)) if not on]
    also = f", or export {' or '.join(more)} too" if more else ""
    return UsageError(f"There is nothing to export. {'; '.join(said[:4])}.", f"Close a case with Case complete{also}.")


__all__ = [
    "GROUP", "NONE", "RECORD", "REGISTRY", "ExportOptions", "Exporter", "Item", "Job", "Plan", "Written", "check_own",
    "get", "names", "plan",
]  # fmt: skip
