"""MLflow as the mirror of the records: everything here happens beside the training, never in its way."""

from idealfit.tracking.files import RunFiles as RunFiles
from idealfit.tracking.mirror import Mirror as Mirror
from idealfit.tracking.store import preflight as preflight
from idealfit.tracking.sync import SyncReport as SyncReport
from idealfit.tracking.sync import sync as sync
from idealfit.tracking.ui import serve_ui as serve_ui
from idealfit.tracking.views import ui_address as ui_address
