"""Similarity of images to what they should be, pair by pair: one measure a file, `compare_folders` for all of them."""

from eval.similarity.folders import FolderSimilarity, ImageSimilarity, compare_folders, compare_images, compare_pairs
from eval.similarity.pairs import Lister, pair_by_stem

__all__ = [
    "FolderSimilarity",
    "ImageSimilarity",
    "Lister",
    "compare_folders",
    "compare_images",
    "compare_pairs",
    "pair_by_stem",
]
