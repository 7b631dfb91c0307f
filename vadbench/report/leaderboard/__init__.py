"""The leaderboard: a static site of all records.

`build` reads a results folder; `write_site` takes a data frame and knows nothing of the runner.
"""

from vadbench.report.leaderboard.site import build, write_site

__all__ = ["build", "write_site"]
