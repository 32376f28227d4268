"""Files of tuning logs that other programs write and read. TVM is not needed for any of them."""
