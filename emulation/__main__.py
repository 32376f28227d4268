from emulation.demo import main

main(prog_name="python -m emulation")
