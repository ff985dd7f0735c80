"""Drift between versions of a model on one frozen set, measured by one ruler.

Small pure functions on tables; the statistics are scipy's. Areas in mm2 at the monitored range. A version is named
by its bundle digest, the ground truth is the version ``reference``. Undefined is NaN, and a mean travels with its n.
"""
