"""What this board is, how it feels, and the device that executes kernels: this machine, or one behind a shell."""
