"""Which method and which preset to start with, and why: two tables that are read from the top.

The tables are data; ``docs/choosing-a-method.md`` is made from them (``docs/render_choosing.py``). They say what each
paper was about and how much work a preset is. Where that and what was measured here disagree, the measured decides:
COL-Net's paper has voxels as thick as wide, but on such strokes it came out behind a 3D network that learns from labels
only, so it is for thick slices; ASDNet's is about several organs, but on hearts in thick slices it gained nothing and
the mean teacher did. A reader may overrule both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.jobs.methods_info import MethodInfo
from napari_penumbra.session.facts import Facts
from napari_penumbra.session.words import memory

AUTO = "auto"
"""What to write instead of a method's name to get the recommended one."""

SMALL_SHARE = 0.003
"""About 20 ml in a scan of a head."""
MANY_LABELLED = 4
CARD_BYTES = 8e9


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a table.

    Attributes
    ----------
    when
        The condition in words, for the docs.
    holds
        The same condition.
    choice
        Name of a method or preset.
    found
        What was found in the study, in words.
    reason
        Why that speaks for the choice.
    """

    when: str
    holds: Callable[[Facts], bool]
    choice: str
    found: Callable[[Facts], str]
    reason: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to start with. ``reason`` is one sentence for the reader."""

    method: str
    preset: str
    reason: str


def _pools(f: Facts) -> str:
    return f"{f.labelled} labelled and {f.unlabelled} unlabelled cases"


def _lesion(f: Facts) -> str:
    if f.share is None or f.pieces is None:
        return "nothing painted yet"
    return f"{f.share:.2%} of the scan painted, in {f.pieces:.0f} piece{'' if f.pieces == 1 else 's'}"


def _small(f: Facts) -> bool:
    scattered = f.pieces is not None and f.pieces >= 2
    return scattered or (f.share is not None and f.share < SMALL_SHARE)


METHODS: tuple[Rule, ...] = (
    Rule(
        "no case is unlabelled",
        lambda f: f.unlabelled == 0,
        "supervised",
        lambda f: "no case is unlabelled",
        "the other methods would have nothing to add",
    ),
    Rule(
        f"at least {MANY_LABELLED} times as many labelled as unlabelled cases",
        lambda f: f.labelled >= MANY_LABELLED * f.unlabelled,
        "supervised",
        _pools,
        "nearly everything is labelled, so the rest has little to teach",
    ),
    Rule(
        "pictures (one slice) with one to three classes",
        lambda f: f.slices == 1 and f.classes <= 3,
        "self-correction",
        lambda f: f"pictures with {f.classes} class{'' if f.classes == 1 else 'es'}",
        "it was published for single pictures and corrects its own first guess",
    ),
    Rule(
        "three classes or more, in slices at least three times as thick as voxels are wide",
        lambda f: f.classes >= 3 and f.slices > 1 and f.thick,
        "mean-teacher",
        lambda f: f"{f.classes} classes in slices {f.thickness:.1f} mm apart",
        "on real hearts in such slices it gained on four of five draws of labelled cases, ASDNet on two",
    ),
    Rule(
        "three classes or more",
        lambda f: f.classes >= 3,
        "asdnet",
        lambda f: f"{f.classes} classes at once",
        "it weighs classes of different size and asks a second network where to trust the first",
    ),
    Rule(
        f"lesions in two pieces or more, or below {SMALL_SHARE:.1%} of the scan",
        _small,
        "mean-teacher",
        _lesion,
        "it was published for small brain lesions and centres its patches on them",
    ),
    Rule(
        "three modalities or more, in slices at least three times as thick as voxels are wide",
        lambda f: f.modalities >= 3 and f.thick,
        "col-net",
        lambda f: f"{f.modalities} modalities in slices {f.thickness:.1f} mm apart",
        "it was published for ischemic penumbra in multi-modal MRI and looks at one slice at a time",
    ),
    Rule(
        "one piece in a volume of 16 slices or more, less than three times as thick as voxels are wide",
        lambda f: f.pieces is not None and f.pieces < 2 and f.slices >= 16 and not f.thick,
        "co-learning",
        _lesion,
        "it was published for one compact structure in 3D, the left atrium",
    ),
    Rule(
        "anything else",
        lambda f: True,
        "mean-teacher",
        lambda f: _pools(f) if f.labelled else "nothing painted yet",
        "it asks least of the images",
    ),
)
"""The first line that holds and whose method is installed decides."""

PRESETS: tuple[Rule, ...] = (
    Rule(
        f"a graphics card that torch can use, with {CARD_BYTES / 1e9:.0f} GB or more",
        lambda f: f.machine.cuda and f.machine.card_bytes >= CARD_BYTES,
        "workstation",
        lambda f: f"{f.machine.card} with {memory(f.machine.card_bytes)}",
        "a larger network and larger patches fit",
    ),
    Rule(
        "a smaller graphics card",
        lambda f: f.machine.cuda,
        "laptop",
        lambda f: f"{f.machine.card} has {memory(f.machine.card_bytes)}",
        "large patches would not fit",
    ),
    Rule(
        "no graphics card",
        lambda f: True,
        "laptop",
        lambda f: f"no graphics card, {f.machine.cores} core{'' if f.machine.cores == 1 else 's'}",
        "a small network that learns in minutes",
    ),
)
"""The first line that holds and whose preset the method has decides. ``paper`` is never recommended: it is there to
repeat what was published, takes hours, and asks for the paper's kind of data."""


def recommend(facts: Facts, infos: Sequence[MethodInfo]) -> Recommendation:
    """Choose a method and a preset among those installed.

    Raises
    ------
    UsageError
        No method is installed.
    """
    known = {info.name: info for info in infos}
    if not known:
        raise UsageError("No method is installed.", 'Install one: pip install "napari-penumbra[train]"')
    rule = _first(METHODS, facts, known)
    info = known[rule.choice] if rule is not None else infos[0]
    preset = _first(PRESETS, facts, info.presets)
    name = preset.choice if preset is not None else next(iter(info.presets))
    why = f"{rule.found(facts)}: {rule.reason}" if rule is not None else "it is what is installed"
    machine = f"; {name} preset ({preset.found(facts)})" if preset is not None else f"; {name} preset"
    return Recommendation(info.name, name, f"{info.title}, because {why}{machine}.")


def _first(rules: Sequence[Rule], facts: Facts, names: Collection[str]) -> Rule | None:
    return next((rule for rule in rules if rule.choice in names and rule.holds(facts)), None)


def tables_markdown() -> str:
    """Both tables as they stand in the docs."""
    parts = [_table("method", METHODS), "", _table("preset", PRESETS)]
    return "\n".join(parts)


def _table(what: str, rules: Sequence[Rule]) -> str:
    lines = [f"| | when | {what} | because |", "|---|---|---|---|"]
    for n, rule in enumerate(rules, 1):
        reason = rule.reason[0].upper() + rule.reason[1:]
        lines.append(f"| {n} | {rule.when} | `{rule.choice}` | {reason}. |")
    return "\n".join(lines)
