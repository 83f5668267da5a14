"""What each method of the ports does, step by step, in named statements: written once for every database."""
