"""Gangs: processes that train one net together, started on the nodes of a Ray cluster, and again where one is lost."""
