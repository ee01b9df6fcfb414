"""`make lectures`: run the studies of `sweeps/lectures/`, keep what they found, write docs/lectures.md from that."""

from __future__ import annotations

import argparse
from pathlib import Path

from docs.lectures.claim import Claim
from docs.lectures.claims import CLAIMS
from docs.lectures.page import PAGE, write_page
from docs.lectures.results import RESULTS, keep
from docs.lectures.trials import read_trials

from idealfit import sweep
from idealfit.record import iter_records
from idealfit.spec import nearest


def main() -> None:
    """Run what is asked for, keep what is on record, write the page."""
    claims = {claim.study: claim for claim in CLAIMS}
    parser = argparse.ArgumentParser(prog="python -m docs.lectures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the claims to run (default: all)")
    parser.add_argument("--page", action="store_true", help="run none; take in the records of those named, or of all")
    parser.add_argument("--runs-dir", default="runs", help="where the records lie (default: runs)")
    args = parser.parse_args()
    for name in args.names:
        if name not in claims:
            parser.error(f"no claim {name!r}. {nearest(name, claims)}")
    for name in args.names or claims:
        if not args.page:
            for each in filter(None, (claims[name].needs, f"lectures/{name}")):
                sweep(each, f"runs_dir={args.runs_dir}", "tracking=none")
        take_in(claims[name], Path(args.runs_dir))
    write_page(PAGE, RESULTS, CLAIMS)


def take_in(claim: Claim, runs_dir: Path, folder: Path = RESULTS) -> None:
    """Keep what the records of a claim's study say, where there are any.

    Raises:
        StudyError: A trial of the study is not complete.
    """
    study = f"lectures_{claim.study}"
    if any(iter_records(runs_dir, study)):
        keep(claim, read_trials(runs_dir, study), folder)


if __name__ == "__main__":
    main()
