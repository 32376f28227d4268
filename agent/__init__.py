"""TVM Farm: agent."""
