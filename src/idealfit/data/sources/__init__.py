"""The data sets that come with the package, one module for each layout on disk."""
