"""The version of the package: the only place of it, which pyproject.toml reads and results record."""

__all__ = ["__version__"]

__version__ = "0.1.0"
