"""Budgets of a sweep: what a trial's student will cost, told before it is trained."""
