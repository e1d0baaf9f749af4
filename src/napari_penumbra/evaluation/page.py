"""A page of HTML that needs nothing else: no script, no link, no picture from outside. In pieces, to be streamed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_STYLE = """
body{font:15px/1.45 system-ui,"Segoe UI",Helvetica,Arial,sans-serif;color:#1a1a1a;background:#fff;max-width:1100px;
margin:24px auto;padding:0 16px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:19px;margin:32px 0 8px;border-bottom:1px solid #ccc}
h3{font-size:16px;margin:20px 0 2px}p{margin:6px 0}.quiet{color:#555}
.banner{background:#fff3cd;border:1px solid #c9a227;padding:8px 12px;font-weight:bold;margin:12px 0}
table{border-collapse:collapse;font-size:13px}th,td{padding:3px 8px;border-bottom:1px solid #ddd;text-align:left}
td:first-child{white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.wide{overflow-x:auto}
.slices{display:flex;flex-wrap:wrap;gap:8px}.slices figure{margin:0}figcaption{font-size:12px;color:#555}
.key{display:inline-block;width:14px;height:14px;vertical-align:-2px;margin:0 4px 0 12px;border:1px solid #333}
.case{break-inside:avoid}svg,img{max-width:100%}
"""


def begin(title: str) -> str:
    """Open a page."""
    # The policy makes the browser itself refuse whatever would be fetched or run.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
    )


def end() -> str:
    """Close a page."""
    return '<p class="quiet">Not a medical device: for research only.</p>\n</body></html>\n'


def banner(words: str) -> str:
    """Say something that nobody should overlook."""
    return f'<p class="banner">{escape(words)}</p>\n'


def heading(words: str, level: int = 2) -> str:
    """Write a heading."""
    return f"<h{level}>{escape(words)}</h{level}>\n"


def line(words: str, quiet: bool = False) -> str:
    """Write a paragraph."""
    start = '<p class="quiet">' if quiet else "<p>"
    return f"{start}{escape(words)}</p>\n"


def legend(names: Sequence[tuple[str, str]]) -> str:
    """Name and colour (``#rrggbb``) of what contours mean."""
    parts = [f'<span class="key" style="background:{escape(color)}"></span>{escape(name)}' for name, color in names]
    return f"<p>{''.join(parts)}</p>\n"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a table; columns that hold figures only are set right."""
    figures = [all(_is_figure(cells[n]) for cells in lines) for n in range(len(header))]

    def cells(values: Sequence[str], kind: str) -> str:
        return "".join(
            (f'<{kind} class="n">' if figure else f"<{kind}>") + f"{escape(value)}</{kind}>"
            for value, figure in zip(values, figures, strict=True)
        )

    rows = "".join(f"<tr>{cells(values, 'td')}</tr>\n" for values in lines)
    head = cells(header, "th")
    return f'<div class="wide"><table><tr>{head}</tr>\n{rows}</table></div>\n'


def _is_figure(cell: str) -> bool:
    return not cell.strip("0123456789.,-–% ")
