"""What a check has found as one HTML file: self-contained, pictures included, nothing from outside."""

from __future__ import annotations

import base64
from collections.abc import Callable
from html import escape
from pathlib import Path

from napari_penumbra.imaging import atomic
from napari_penumbra.session.checking import SIGNS, summary
from napari_penumbra.study import checks
from napari_penumbra.study.checking import Step
from napari_penumbra.study.checks import Finding

_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "article{border-top:1px solid #ccc;padding:.6em 0}h2{font-size:1.05em;margin:.3em 0}img{max-width:100%}"
    "p{margin:.3em 0}.way{color:#444}dt{font-weight:600}dd{margin:0 0 .6em 1.2em;color:#444}"
)


def write_report(
    path: Path, title: str, step: Step, picture: Callable[[Finding], bytes | None], *, simulated: bool = False
) -> None:
    """Write the report.

    Parameters
    ----------
    path
        An HTML file.
    title
        The study's name.
    step
        The last step of a check.
    picture
        Finding to PNG.

    Raises
    ------
    DiskError
        It could not be written.
    """
    mark = " (simulated)" if simulated and "simulated" not in title.lower() else ""
    body = [f"<h1>Check of {escape(title)}{mark}</h1>", f"<p>{escape(summary(step))}</p>"]
    body += [_article(finding, picture(finding)) for finding in step.findings]
    body.append("<h1>What is looked at</h1><dl>")
    body += [f"<dt>{escape(c.title)}</dt><dd>{escape(c.about)}</dd>" for c in checks.every()]
    body.append("</dl><p>For research only: not a medical device.</p>")
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Check of {escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    atomic.write_text(path, page)


def _article(finding: Finding, picture: bytes | None) -> str:
    image = ""
    if picture is not None:
        data = base64.b64encode(picture).decode("ascii")
        image = f'<img alt="{escape(finding.message, quote=True)}" src="data:image/png;base64,{data}">'
    sign = SIGNS[finding.severity]
    return (
        f"<article><h2>{sign} {escape(finding.case)} · {finding.severity.value}</h2><p>{escape(finding.message)}</p>"
        f'<p class="way">{escape(finding.remedy)}</p>{image}</article>'
    )
