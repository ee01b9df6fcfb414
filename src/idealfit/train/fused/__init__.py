"""Trials of one shape trained as one program: `fit_group`."""

from idealfit.train.fused.errors import NotFusableError as NotFusableError
from idealfit.train.fused.fit import fit_group as fit_group
from idealfit.train.fused.member import Applicant as Applicant
