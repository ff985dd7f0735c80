"""The summary of a release's jobs, as Markdown: the verdict, the table of versions, the bias, and the assets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from ...reports.change_report.facts import Facts
from ...reports.change_report.markdown import Markdown, bullets, escape, table
from ...reports.drift_report.rows import bias_rows, version_rows
from ...reports.drift_report.wording import headline, label_of


def judged_summary(facts: Facts, history: Iterable[str]) -> str:
    """Return the verdict with its reasons, the CSA STD of every version, the bias and the history.

    ``history`` holds a sentence for each release.
    """
    drift, verdict = facts.drift, facts.drift.verdict
    first, second = headline(drift, facts.shown)
    passed = "It passes the gate." if verdict.passed else "It does not pass the gate; a person may accept it."
    parts = [
        f"## {escape(facts.new_name)}: drift {verdict.drift}, quality {verdict.quality}",
        f"**{escape(first)}** {escape(second)}",
        passed,
        "\n".join(f"- {escape(reason)}" for reason in verdict.reasons),
        table(
            ["version", "CSA STD, mm²", "n", "Dice, mean and lowest", "failed", "not measured"],
            [
                [row[key] for key in ("label", "csa_std", "n", "dice", "failed", "unmeasured")]
                for row in version_rows(drift, facts.shown)
            ],
        ),
    ]
    bias = facts.tables.bias[facts.tables.bias["prior"] == drift.against]
    if drift.against and len(bias):
        parts += [
            f"CSA, new − {escape(label_of(facts.shown, drift.against))}; pooled margin "
            f"±{drift.rule.margin_pooled_mm2:g} mm²:",
            table(
                ["contrast", "n", "bias, mm²", f"{100 * (1 - drift.rule.alpha):g} % interval", "months of atrophy"],
                [[row[key] for key in ("contrast", "n", "bias", "interval", "months")] for row in bias_rows(bias)],
            ),
        ]
    return "\n\n".join([*parts, "<details><summary>History</summary>", bullets(history), "</details>"])


def published_summary(page: str, tag: str, figure: str, done: Sequence[tuple[str, str]]) -> str:
    """Return the list of assets that went to the release, below the figure, which GitHub shows from the release.

    Parameters
    ----------
    page : address of the repository's web page
    tag : of the release
    figure : name of the asset with the figure
    done : (name of the asset, what was done with it) for each asset
    """
    folder = f"{page}/releases/download/{quote(tag, safe='')}"
    rows = [[Markdown(f"[{name}]({folder}/{quote(name)})"), what] for name, what in done]
    shown = f"![CSA STD of every version, a point a participant]({folder}/{figure})"
    return f"{shown}\n\n{table(['asset', ''], rows, words=[1])}"
