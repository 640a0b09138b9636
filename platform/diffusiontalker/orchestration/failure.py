"""How a job fails."""


class JobError(RuntimeError):
    """Work that ended before it was done; the message says why and how to go on."""
