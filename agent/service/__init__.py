"""The agent as a service of its machine: its unit, its log, what systemd and Prometheus hear of it."""
