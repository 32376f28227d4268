from tvm_farm.tracker.cli import farm

farm(prog_name="farm")
