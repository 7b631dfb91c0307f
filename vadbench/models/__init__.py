"""Kept models: what a result's detectors learnt, and new videos watched with it."""
