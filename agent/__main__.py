from tvm_farm.agent.cli import main

main(prog_name="agent")
