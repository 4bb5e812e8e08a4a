"""Moved to `compress.fleet.trial`: the engine calls budgets, report and choice, which read trials too (no circles).

Import from there; this goes when nothing imports it.
"""

from compress.fleet.trial import *  # noqa: F403
