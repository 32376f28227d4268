"""What ``farm check`` tells: the model as it would be tuned, and what binds its tasks on a device class."""
