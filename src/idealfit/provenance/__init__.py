"""What a run depended on besides its config, and what of it has changed since."""

from idealfit.provenance.changes import Difference as Difference
from idealfit.provenance.changes import Status as Status
from idealfit.provenance.changes import changes as changes
from idealfit.provenance.changes import changes_of_run as changes_of_run
from idealfit.provenance.changes import flattened as flattened
from idealfit.provenance.checkout import checkout as checkout
from idealfit.provenance.collect import collect as collect
from idealfit.provenance.document import Code as Code
from idealfit.provenance.document import Conditions as Conditions
from idealfit.provenance.document import Machine as Machine
from idealfit.provenance.document import Provenance as Provenance
from idealfit.provenance.document import files_of as files_of
from idealfit.provenance.packages import requirements as requirements
from idealfit.provenance.store import load as load
from idealfit.provenance.store import load_data_files as load_data_files
from idealfit.provenance.store import save as save
from idealfit.provenance.store import save_data_files as save_data_files
from idealfit.provenance.used import used_code as used_code
