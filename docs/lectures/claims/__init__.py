"""The lectures' claims, in the order of the page."""

from __future__ import annotations

from docs.lectures.claim import Claim
from docs.lectures.claims.generalization import GENERALIZATION
from docs.lectures.claims.networks import NETWORKS
from docs.lectures.claims.training import TRAINING

CLAIMS: list[Claim] = [*NETWORKS, *TRAINING, *GENERALIZATION]
