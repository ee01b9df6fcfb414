"""Measurements, side by side in one run: medians and ratios; on a shared machine an absolute time says little."""
