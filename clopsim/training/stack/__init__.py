"""Many small networks trained at once, as one stack."""
