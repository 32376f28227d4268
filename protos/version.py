"""The version of the one distribution that agent, tracker and wire contract are."""

__all__ = ["__version__"]

__version__ = "0.2.0"
