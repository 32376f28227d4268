"""Packages of tuned models and operators on disk."""
