"""One file a workload: what is done, and what is counted."""
