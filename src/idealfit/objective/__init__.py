"""What a study optimises, and by which names it looks at a trial."""

from idealfit.objective.measures import BEST as BEST
from idealfit.objective.measures import GAP_KINDS as GAP_KINDS
from idealfit.objective.measures import MEASURES as MEASURES
from idealfit.objective.measures import Curves as Curves
from idealfit.objective.measures import Direction as Direction
from idealfit.objective.measures import canonical as canonical
from idealfit.objective.measures import constants_of as constants_of
from idealfit.objective.measures import gap_curves as gap_curves
from idealfit.objective.measures import measure_text as measure_text
from idealfit.objective.measures import measured as measured
from idealfit.objective.measures import natural_direction as natural_direction
from idealfit.objective.measures import natural_limits as natural_limits
from idealfit.objective.measures import per_epoch as per_epoch
from idealfit.objective.measures import summary_name as summary_name
from idealfit.objective.objective import EpochChoice as EpochChoice
from idealfit.objective.objective import Objective as Objective
from idealfit.objective.objective import dominates as dominates
from idealfit.objective.objective import known_fields as known_fields
from idealfit.objective.terms import Constraint as Constraint
from idealfit.objective.terms import Goal as Goal
from idealfit.objective.terms import Penalty as Penalty
from idealfit.objective.terms import Relation as Relation
