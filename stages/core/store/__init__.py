"""MLflow's one door: where the store lies, what a version's run holds, and how it is written whole.

``location`` and ``record`` do not import MLflow (which takes seconds); ``client`` does, when a store is opened.
"""
