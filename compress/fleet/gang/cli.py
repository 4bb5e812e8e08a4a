"""The command `compress launch`."""

from typing import Annotated

from cyclopts import Parameter


def launch(
    *arguments: Annotated[str, Parameter(allow_leading_hyphen=True)],
    nodes: int,
    cluster: str | None = None,
) -> None:
    """Train one net in several processes that share each batch: compress launch --nodes 2 distill --teacher …

    Args:
        arguments: distill or teach, and its flags; --devices counts those of each process.
        nodes: Processes, spread over a cluster's nodes; a lost one starts all again from the last checkpoint.
        cluster: HOST:PORT of a Ray cluster's head node; processes on this machine when not given.
    """
    from compress.fleet.gang.launch import launch as run_gang

    run_gang(arguments, nodes=nodes, cluster=cluster)
