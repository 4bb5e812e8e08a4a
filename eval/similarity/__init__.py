"""Images against what they should be, pair by pair: one measure a file, `compare` for whole folders."""

from eval.similarity.likeness import Fidelity, Likeness, compare
from eval.similarity.pairs import pair_by_stem

__all__ = ["Fidelity", "Likeness", "compare", "pair_by_stem"]
