"""What results are handed over in: of runs, of stores, of probes."""
