"""What the three programs do alike: how they start, take commands, end."""
