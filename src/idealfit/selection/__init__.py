"""Which of several configurations is best, by their scores on the same seeds, and how sure that is. Pure numbers."""

from idealfit.selection.intervals import LEVEL as LEVEL
from idealfit.selection.intervals import Interval as Interval
from idealfit.selection.intervals import mean_interval as mean_interval
from idealfit.selection.intervals import share_interval as share_interval
from idealfit.selection.ranking import Candidate as Candidate
from idealfit.selection.ranking import Rival as Rival
from idealfit.selection.ranking import Verdict as Verdict
from idealfit.selection.ranking import holm as holm
from idealfit.selection.ranking import judge as judge
from idealfit.selection.ranking import paired_p as paired_p
