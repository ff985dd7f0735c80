"""A release on GitHub: its bundle fetched, judged in shards, and its record, report and figures put beside it."""
