"""Any run again, from its id: find it, compare what came out, put runs side by side.

`reproduce.export` needs torch and is imported on its own.
"""

from idealfit.reproduce.cause import advice as advice
from idealfit.reproduce.cause import likeliest_causes as likeliest_causes
from idealfit.reproduce.compare import Deviation as Deviation
from idealfit.reproduce.compare import Tolerance as Tolerance
from idealfit.reproduce.compare import Verdict as Verdict
from idealfit.reproduce.compare import compare_curves as compare_curves
from idealfit.reproduce.compare import first_deviation as first_deviation
from idealfit.reproduce.diff import RunColumn as RunColumn
from idealfit.reproduce.diff import RunDiff as RunDiff
from idealfit.reproduce.diff import diff_runs as diff_runs
from idealfit.reproduce.reference import resolve as resolve
