"""Checking the gradients of anyone's program: a case to compute, and what is right or wrong in the answer."""

import plaingrad.checking.verdict.text  # noqa: F401 (which adds its words to a verdict)
from plaingrad.checking.case import Case, make_case
from plaingrad.checking.case_file import read_case
from plaingrad.checking.check import check_answer
from plaingrad.checking.verdict.verdict import Verdict

__all__ = ["Case", "Verdict", "check_answer", "make_case", "read_case"]
