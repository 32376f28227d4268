"""Programs that use a farm."""
