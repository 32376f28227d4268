"""TVM's runtime on this board, and the runner that is started with it."""
