"""The one exception that the lab's own code raises on purpose."""


class LabError(Exception):
    """Something the lab waited for or relied on did not come true.

    The message is for a person: what was expected, what happened instead
    and, where there is one, which log says more.
    """
