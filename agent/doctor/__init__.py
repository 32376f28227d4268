"""``agent doctor``: what a join needs, checked line by line, each fault with its remedy."""
