from tvm_farm.tracker.cli import tracker

tracker(prog_name="tracker")
