"""What outlives a process: configurations, plans, chunks, stores, executors, and the runs made of them."""
