"""Similarity of images to what they should be, pair by pair: one measure a file, `compare_folders` for all of them."""

from eval.similarity.folders import FolderSimilarity, ImageSimilarity, compare_folders, compare_images
from eval.similarity.pairs import pair_by_stem

__all__ = ["FolderSimilarity", "ImageSimilarity", "compare_folders", "compare_images", "pair_by_stem"]
