"""The summary of a release's jobs, as Markdown: verdict first, then the headline table, and where the rest lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from ...reports.change_report.facts import Facts
from ...reports.change_report.markdown import escape
from ...reports.drift_report.rows import bias_rows, version_rows
from ...reports.drift_report.wording import headline, label_of


def judged_summary(facts: Facts, history: Iterable[str]) -> str:
    """Verdict with reasons, every version's CSA STD, the bias to the one it is compared with, and the history."""
    drift = dict(facts.drift)
    verdict = drift["verdict"]
    first, second = headline(drift, facts.shown)
    passed = "It passes the gate." if verdict["passed"] else "It does not pass the gate; a person may accept it."
    parts = [
        f"## {escape(facts.new_name)}: drift {verdict['drift']}, quality {verdict['quality']}",
        f"**{escape(first)}** {escape(second)}",
        passed,
        "\n".join(f"- {escape(reason)}" for reason in verdict["reasons"]),
        _table(
            ["version", "CSA STD, mm²", "n", "Dice, mean and lowest", "failed", "not measured"],
            [
                [row[key] for key in ("label", "csa_std", "n", "dice", "failed", "unmeasured")]
                for row in version_rows(drift, facts.shown)
            ],
        ),
    ]
    bias = facts.tables.bias[facts.tables.bias["prior"] == drift["against"]] if drift["against"] else None
    if bias is not None and len(bias):
        parts += [
            f"CSA, new − {escape(label_of(facts.shown, drift['against']))}; margin ±{drift['margin_mm2']:g} mm²:",
            _table(
                ["contrast", "n", "bias, mm²", "95 % interval", "months of atrophy"],
                [[row[key] for key in ("contrast", "n", "bias", "interval", "months")] for row in bias_rows(bias)],
            ),
        ]
    parts.append("<details><summary>History</summary>\n\n" + "\n".join(f"- {escape(one)}" for one in history))
    return "\n\n".join([*parts, "</details>"])


def published_summary(page: str, tag: str, figure: str, done: Sequence[tuple[str, str]]) -> str:
    """What went to the release, with the figure, which GitHub shows from the release itself.

    Parameters
    ----------
    page : address of the repository's page
    done : (name of the asset, what was done with it)
    """
    folder = f"{page}/releases/download/{quote(tag, safe='')}"
    rows = [[f"[{name}]({folder}/{quote(name)})", what] for name, what in done]
    shown = f"![CSA STD of every version, a point a participant]({folder}/{figure})"
    return f"{shown}\n\n{_table(['asset', ''], rows, raw=True)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, raw: bool = False) -> str:
    shown = [list(row) if raw else [escape(cell) for cell in row] for row in rows]
    lines = [list(head), ["---"] * len(head), *shown]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
