"""A generated cohort: geometry in mm, contrasts by signal equations, truths known by construction."""
