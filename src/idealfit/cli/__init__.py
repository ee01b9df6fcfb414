"""The command line: `idealfit VERB ...`. Everything heavy is imported by the verb that needs it."""

from idealfit.cli.app import main as main
