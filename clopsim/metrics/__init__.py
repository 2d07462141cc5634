"""What embeddings look like: geometry and classes in numbers, inspection of anybody's embeddings."""
