"""Installation; what is not computed stands in pyproject.toml."""

from setuptools import setup

setup()
