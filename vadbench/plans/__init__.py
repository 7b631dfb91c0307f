"""What is to be run: a suite or a command line becomes jobs and recipes."""
