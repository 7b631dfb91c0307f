"""What runs: one job, and a suite from features to table."""
