"""The checking part of a session: findings, ways to put them right, and taking that back."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from napari_penumbra.session.base import Base
from napari_penumbra.study import fixes
from napari_penumbra.study.checking import Step
from napari_penumbra.study.checks import Finding, Offer, Severity
from napari_penumbra.study.fix_records import Done
from napari_penumbra.study.fixing import Prepared

SIGNS = {Severity.WRONG: "✕", Severity.LOOK: "⚠", Severity.NOTE: "ℹ"}
"""A sign beside the word: severity is not told by colour."""


class Checking(Base):
    """Checks cases and puts them right. `check`, `picture_of` and `prepare_fix` may run in another thread."""

    def check(self, only: Collection[str] | None = None, *, voxels: bool = True) -> Iterator[Step]:
        """Check cases one at a time; see `study.checking.check`."""
        return self.opened().check(only, voxels=voxels)

    def picture_of(self, finding: Finding) -> bytes | None:
        """Draw what a finding is about, as a small PNG."""
        return self.opened().picture_of(finding)

    def before_and_after(self, prepared: Prepared) -> bytes | None:
        """Draw what a fix would change, as a small PNG."""
        return self.opened().before_and_after(prepared)

    def prepare_fix(self, name: str, offer: Offer) -> Prepared:
        """Work out a fix and write its files; nothing counts before `apply_fix`."""
        return self.writable().prepare_fix(name, offer)

    def apply_fix(self, prepared: Prepared) -> Done:
        """Make a prepared fix count."""
        done = self.writable().apply_fix(prepared, self.reader)
        self._fixed(prepared.case)
        return done

    def refuse_fix(self, prepared: Prepared) -> None:
        """Remove what a refused fix has written."""
        self.writable().discard_fix(prepared)

    def undo_fix(self, name: str) -> Done:
        """Take the newest fix of a case back."""
        done = self.writable().undo_fix(name)
        self._fixed(name)
        return done

    def fixes(self, name: str) -> list[Done]:
        """Fixes of a case that count, oldest first."""
        return [done for done in self.opened().fixes(name) if done.undone is None]

    def _fixed(self, name: str) -> None:
        self.case_changed.emit(name)
        self._update_status()


def button_of(offer: Offer) -> tuple[str, str]:
    """Words and tip of the button for an offer."""
    fix = fixes.get(offer.kind)
    return fix.button(offer), fix.tip


def asks(offer: Offer) -> bool:
    """Whether the reader is shown the result before it counts."""
    return fixes.get(offer.kind).asks


def summary(step: Step) -> str:
    """Say what a check has found: ``24 cases checked: 1 wrong, 2 to look at, 1 note``."""
    cases = f"{step.done} case{'' if step.done == 1 else 's'} checked"
    counts = {severity: sum(f.severity is severity for f in step.findings) for severity in Severity}
    words = {Severity.WRONG: "wrong", Severity.LOOK: "to look at", Severity.NOTE: "note"}
    parts = [
        f"{count} {words[severity]}{'s' if severity is Severity.NOTE and count > 1 else ''}"
        for severity, count in counts.items()
        if count
    ]
    return f"{cases}: {', '.join(parts)}." if parts else f"{cases}: nothing was found."
