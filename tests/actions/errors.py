"""The two ways in which a workflow can go wrong here."""


class WorkflowError(Exception):
    """The workflow file is wrong, or uses what is not emulated: the test fails, whatever the run would have said."""


class StepError(Exception):
    """A step fails, as it would on GitHub; the run goes on by its conditions."""
