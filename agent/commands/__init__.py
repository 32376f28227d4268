"""The commands of ``agent``, a module each, with their options."""
