"""From the best score of a search to the best model: fresh seeds, honest tests, one look at the test set."""

from idealfit.promotion.options import PromoteOptions as PromoteOptions
from idealfit.promotion.session import Promoted as Promoted
from idealfit.promotion.session import promote_study as promote_study
