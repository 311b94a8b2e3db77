"""A page that shows what a network learned: one HTML file that opens anywhere."""

from plaingrad.training.report.page import write_report

__all__ = ["write_report"]
