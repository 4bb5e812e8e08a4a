#!/usr/bin/env bash
# Where a Ray lives that is told to live on 127.0.0.1.
#
# Guess: ray.init(_node_ip_address="127.0.0.1") keeps a Ray of one machine on its loopback interface.
#
# Seen with ray 2.60.0 on Linux: "127.0.0.1" and "localhost" are replaced by the machine's address in its network, so the
# node, its ports and its object store's are told to the world there. "127.0.0.2", as good a loopback address, is taken as
# it is. On macOS and Windows Ray stays on 127.0.0.1 by itself.
#
# Prints what was seen; ends with 1 where any of it is otherwise. Needs a Linux machine with a network interface.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'ray==2.60.0' 'setuptools==80.9.0' \
    2>"$folder/pip.log" || { cat "$folder/pip.log" >&2; exit 2; } # not installed: nothing was seen

export HOME="$folder" RAY_USAGE_STATS_ENABLED=0
cat >"$folder/seen.py" <<'PYTHON'
import ipaddress
import logging
import sys

import ray

asked = sys.argv[1]
ray.init(
    address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
    _node_ip_address=asked,
)
given = ipaddress.ip_address(ray.nodes()[0]["NodeManagerAddress"])
ray.shutdown()
print(f"asked for {asked}: {'loopback' if given.is_loopback else 'the address in the network'}")
raise SystemExit(0 if given.is_loopback == (asked == "127.0.0.2") else 1)
PYTHON
for address in 127.0.0.1 127.0.0.2; do
    timeout 120 "$folder/venv/bin/python" "$folder/seen.py" "$address" 2>"$folder/ray.log" || { cat "$folder/ray.log" >&2; exit 1; }
done
