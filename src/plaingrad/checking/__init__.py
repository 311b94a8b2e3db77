"""Checking the gradients of anyone's program: a case to compute, and what is right or wrong in the answer."""

import plaingrad.checking.verdict.hint  # noqa: F401 (which adds its words to a verdict)
from plaingrad.checking.case import Case
from plaingrad.checking.case_file import read_case
from plaingrad.checking.check import check_answer
from plaingrad.checking.classroom.check import check_class
from plaingrad.checking.classroom.table import ClassTable
from plaingrad.checking.new_case import make_case
from plaingrad.checking.verdict.verdict import Verdict

__all__ = ["Case", "ClassTable", "Verdict", "check_answer", "check_class", "make_case", "read_case"]
