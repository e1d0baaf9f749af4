"""Matching files to cases by a pattern of their names, such as ``{case}_{modality}.nii.gz``.

``{case}`` becomes the case's name, ``{modality}`` must be one of the study's (or ``0000``, ``0001`` … in its order, or
a word for a mask: seg, mask, label …), ``*`` is anything inside one name, ``**/`` any folders, and ``.*`` at the end
any format. A pattern without ``{case}`` takes its last ``*`` for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from napari_penumbra.domain.colour import PICTURE, expand_images, has_colour, sources
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging.files import SUFFIXES, suffix_of
from napari_penumbra.study.importers.folder import LABEL_ENDINGS, FolderPlan, PlannedCase, is_label, masks_of, natural
from napari_penumbra.study.importers.tree import image_files

_MOST_TRIED = 60
_EXAMPLES = 200
_SUFFIX = "(?:" + "|".join(re.escape(s) for s in sorted(SUFFIXES, key=len, reverse=True)) + ")"
_SEPARATORS = "_-. "


def plan_pattern(images: Path, pattern: str, modalities: Sequence[str], labels: Path | None = None) -> FolderPlan:
    """Match the files of a folder to cases.

    Parameters
    ----------
    pattern
        Of names relative to the folder, with ``/`` between folders.
    labels
        Folder with masks named like the cases, for masks that the pattern does not find.

    Raises
    ------
    UsageError
        The pattern cannot be understood, nothing fits it, or two files claim to be the same.
    """
    ordered = sources(modalities)
    matcher = compile_pattern(pattern, modalities)
    if len(ordered) > 1 and "modality" not in matcher.groupindex:
        raise UsageError(
            f"The pattern {pattern} does not say which file is which of {', '.join(ordered)}.",
            "Put {modality} where that stands in the names, for example {case}_{modality}.nii.gz.",
        )
    found: dict[str, dict[str, Path]] = {}
    masks: dict[str, Path] = {}
    unused = []
    for name in image_files(images):
        match = matcher.fullmatch(name)
        case, modality = _read(match, modalities) if match else ("", "")
        if not case:
            unused.append(name)
            continue
        kept = masks if not modality else found.setdefault(case, {})
        key = modality or case
        if key in kept:
            what = f"{modality} of {case}" if modality else f"the label of {case}"
            raise UsageError(
                f"Two files claim to be {what}: {kept[key].relative_to(images).as_posix()} and {name}.",
                "Make the pattern more exact, or move one of them away.",
            )
        kept[key] = images / name
    _without_image(found, masks, unused, images)
    if not found:
        raise UsageError(
            f"No file in {images} fits the pattern {pattern}.",
            f"Names there look like {next(iter(unused), 'nothing that can be read')}.",
        )
    if labels is not None:
        masks = {**masks_of(labels, set(found), unused), **masks}
        unused = [name for name in unused if images / name not in masks.values()]
    cases = [PlannedCase(name, expand_images(found[name]), masks.get(name)) for name in sorted(found, key=natural)]
    return FolderPlan(tuple(cases), tuple(unused))


def compile_pattern(pattern: str, modalities: Sequence[str]) -> re.Pattern[str]:
    """Make a regular expression with the groups ``case`` and ``modality``; raises `UsageError` in words."""
    text = pattern.strip().replace("\\", "/").removeprefix("./")
    any_format = text.endswith(".*")
    text = text.removesuffix(".*")
    if "{case}" not in text:
        at = max((m.start() for m in re.finditer(r"(?<!\*)\*(?!\*)", text)), default=-1)
        if at < 0:
            raise UsageError(
                f'The pattern "{pattern}" does not say where the case\'s name stands.',
                "Write {case} there, for example {case}_{modality}.nii.gz.",
            )
        text = text[:at] + "{case}" + text[at + 1 :]
    strange = [word for word in re.findall(r"\{[^}]*\}?", text) if word not in ("{case}", "{modality}")]
    if strange or PurePosixPath(text).is_absolute() or ".." in PurePosixPath(text).parts:
        what = f'"{strange[0]}" in it means nothing' if strange else "it leads out of the folder"
        raise UsageError(
            f'The pattern "{pattern}" cannot be used: {what}.', "Use {case}, {modality}, * and /, within the folder."
        )
    parts = re.split(r"(\{case\}|\{modality\}|\*\*/|\*)", text)
    seen: set[str] = set()
    expression = "".join(_piece(part, seen, modalities) for part in parts if part)
    suffixed = any(text.lower().endswith(s) for s in SUFFIXES)
    return re.compile(expression + ("" if suffixed and not any_format else _SUFFIX), re.IGNORECASE)


def _piece(part: str, seen: set[str], modalities: Sequence[str]) -> str:
    if part == "**/":
        return "(?:[^/]+/)*"
    if part == "*":
        return "[^/]*"
    if part not in ("{case}", "{modality}"):
        return re.escape(part)
    name = part[1:-1]
    if name in seen:
        return f"(?P={name})"
    seen.add(name)
    return "(?P<case>[^/]+?)" if name == "case" else f"(?P<modality>{'|'.join(_words(modalities))})"


def _words(modalities: Sequence[str]) -> list[str]:
    """What may stand for ``{modality}``, longest first: T1_gd before gd."""
    known = [*modalities, *([PICTURE] if has_colour(modalities) else []), *LABEL_ENDINGS]
    numbers = [f"{n:04d}" for n in range(len(sources(modalities)))]
    return [re.escape(word) for word in sorted(known, key=len, reverse=True)] + numbers


def _read(match: re.Match[str], modalities: Sequence[str]) -> tuple[str, str]:
    """Case and modality of a match; no modality for a mask, nothing for a file that is neither."""
    case, ordered = match["case"], sources(modalities)
    word = match.groupdict().get("modality")
    if word is None:
        if not is_label(case):
            return case, ordered[0]
        return re.sub(rf"[_-]?({'|'.join(LABEL_ENDINGS)})$", "", case, flags=re.IGNORECASE), ""
    if word.lower() in LABEL_ENDINGS:
        return case, ""
    if word.isdigit() and len(word) == 4:
        return case, ordered[int(word)]
    known = {name.lower(): name for name in (*modalities, PICTURE)}
    return case, known[word.lower()]


def _without_image(found: dict[str, dict[str, Path]], masks: dict[str, Path], unused: list[str], images: Path) -> None:
    for case in sorted(set(masks) - set(found), key=natural):
        unused.append(masks.pop(case).relative_to(images).as_posix())


def guess(images: Path, modalities: Sequence[str]) -> list[str]:
    """Patterns that fit the names in a folder, the best first; empty when none fits.

    The best one makes the most cases with all modalities, then takes the most files, then is the plainest.
    """
    return guess_names(image_files(images), modalities)


def guess_names(names: Sequence[str], modalities: Sequence[str]) -> list[str]:
    """`guess` for names that were listed before."""
    tried: dict[str, tuple[int, int, int, int]] = {}
    for name in names[:: max(1, len(names) // _EXAMPLES)]:
        for pattern in _suggest(name, modalities):
            if pattern not in tried and len(tried) < _MOST_TRIED:
                tried[pattern] = _score(pattern, names, modalities)
    return [p for p, score in sorted(tried.items(), key=lambda item: item[1], reverse=True) if score[1] > 0]


def _score(pattern: str, names: Iterable[str], modalities: Sequence[str]) -> tuple[int, int, int, int]:
    matcher = compile_pattern(pattern, modalities)
    found: dict[str, set[str]] = {}
    files = 0
    for name in names:
        match = matcher.fullmatch(name)
        if match is None:
            continue
        case, modality = _read(match, modalities)
        numbered = "modality" not in matcher.groupindex and case.endswith("_0000")  # a channel, not a case's name
        if numbered or (modality and modality in found.setdefault(case, set())):
            return (0, 0, 0, 0)  # two files for one thing: the pattern is too wide
        if modality:
            found[case].add(modality)
        files += 1
    complete = sum(len(kinds) == len(sources(modalities)) for kinds in found.values())
    return (complete, files, -pattern.count("*"), -len(pattern))


def _suggest(name: str, modalities: Sequence[str]) -> list[str]:
    """Patterns that one file's name could be an example of."""
    path = PurePosixPath(name)
    suffix = suffix_of(Path(path.name))
    stem, folders = path.name[: len(path.name) - len(suffix)], path.parent.parts
    end, ordered = path.name[len(stem) :], sources(modalities)
    made: list[tuple[str, str]] = []  # pattern of the stem, and the case's name if the stem holds it
    for word in _words(modalities):
        for hit in re.finditer(word, stem, re.IGNORECASE):
            before, after = stem[: hit.start()], stem[hit.end() :]
            if before and before[-1] in _SEPARATORS and not after:
                made.append(("{case}" + before[-1] + "{modality}", before[:-1]))
            elif after and after[0] in _SEPARATORS and not before:
                made.append(("{modality}" + after[0] + "{case}", after[1:]))
            elif not before and not after:
                made.append(("{modality}", ""))
    if len(ordered) == 1:
        made += [("{case}", stem), ("*", "")]
    made.append(("{case}", stem))
    patterns = []
    for pattern, case in made:
        for parents in _parents(folders, case, pattern, modalities):
            whole = "/".join((*parents, pattern))
            if "{case}" in whole and (len(ordered) == 1 or "{modality}" in whole):
                patterns += [whole + end, whole + ".*"]
    return patterns


def _parents(folders: Sequence[str], case: str, pattern: str, modalities: Sequence[str]) -> list[list[str]]:
    """Ways to write the folders above a file: as they are, the case's own as {case}, others as *."""
    words = {m.lower() for m in modalities}
    plain = ["{modality}" if f.lower() in words and "{modality}" not in pattern else f for f in folders]
    if "{case}" in pattern:
        ways = [["{case}" if f == case else f for f in plain], ["{case}" if f == case else _star(f) for f in plain]]
    else:
        ways = [[*plain[:n], "{case}", *map(_star, plain[n + 1 :])] for n in range(len(plain))]
        ways += [[*map(_star, plain[:n]), "{case}", *map(_star, plain[n + 1 :])] for n in range(len(plain))]
    return ways


def _star(folder: str) -> str:
    return folder if folder == "{modality}" else "*"
