"""What an agent does next: a state machine without sockets, clocks, processes or chance. Start at ``transition``."""
