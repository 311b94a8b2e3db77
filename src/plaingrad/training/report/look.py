"""What plaingrad's pages look like: one style for the explanation, the training report and the verdict."""

from importlib.resources import files


def styled(own: str) -> str:
    """The shared style, and after it the style of a page of its own, which may add to it."""
    return files("plaingrad.training.report").joinpath("look.css").read_text("utf-8") + own
