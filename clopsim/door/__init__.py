"""What the front door offers: one function a question, the same for a notebook and for the command line."""
