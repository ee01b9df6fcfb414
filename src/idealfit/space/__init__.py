"""The search space: Hydra's sweep grammar, read once, with one meaning under every sampler.

An entry is one of these, or a mapping with `values`, `when` and `role`; a bound may be arithmetic over earlier keys.

| grammar | points | Optuna |
|---|---|---|
| `interval(a, b)`, `tag(log, interval(a, b))` | every float from a to b | float |
| `int(interval(a, b))`, `tag(log, int(interval(a, b)))` | every integer from a to b, both included | int |
| `range(a, b)`, `range(a, b, step)` | a, a + step, ... below b, as in Python: `range(1,5)` is 1, 2, 3, 4 | int, float |
| `choice(x, y)`, `x,y`, a YAML list | the values named | categorical |
"""

from idealfit.space.dependent import Dependent as Dependent
from idealfit.space.derive import Derivation as Derivation
from idealfit.space.dimensions import point_key as point_key
from idealfit.space.entries import flatten_entries as flatten_entries
from idealfit.space.entries import with_values as with_values
from idealfit.space.overrides import split_sweep as split_sweep
from idealfit.space.overrides import to_overrides as to_overrides
from idealfit.space.reading import GROUPS as GROUPS
from idealfit.space.space import Space as Space
