"""The audit: the ledger of claims, their proofs, certificates and experiments, and the report of their fate."""
