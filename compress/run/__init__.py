"""Whole runs: recipes, the pipeline of stages, its resumable execution, the summary, the demo."""
