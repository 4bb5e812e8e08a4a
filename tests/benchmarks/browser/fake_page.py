"""The page without a browser: `fake_page.py BEHAVIOUR [flags of Chromium] ADDRESS`, for a model of tanh.

It needs the standard library and NumPy alone.
"""

import json
import sys
import time
from urllib.request import urlopen

import numpy as np


def measure(address: str, *, shift: float = 0.0, unrest: float = 0.0) -> dict:
    """Fetch, post, and return the record.

    `shift` is added to the outputs' first values; `unrest` is how much longer every other round's second model takes.
    """
    task = json.loads(urlopen(f"{address}task.json").read())
    entries = []
    for index, _ in enumerate(task["models"]):
        output = np.tanh(np.frombuffer(urlopen(f"{address}inputs/{index}.bin").read(), "<f4"))
        output[: output.size // 4] += shift
        parity = json.loads(urlopen(f"{address}output/{index}", output.tobytes()).read())
        one = {"model": index, "accelerator": "wasm", "fully_accelerated": True, "load_ms": 3, "first_ms": 2}
        entries.append(one | {"parity": parity})
    report = {
        "browser": {"user_agent": "fake"},
        "threads": task["threads"],
        "library_load_ms": 1.5,
        "entries": entries,
        # Each model takes twice as long as the one before it.
        "rounds": [
            [2.0**index * (1 + unrest * (index * turn % 2)) for index in range(len(entries))]
            for turn in range(task["runs"])
        ],
        "failures": [{"model": 0, "accelerator": "webgpu", "why": "there is none"}],
    }
    return json.loads(urlopen(f"{address}report", json.dumps(report).encode()).read())


def main() -> None:
    behaviour, address = sys.argv[1], sys.argv[-1]
    if behaviour == "measures":
        measure(address)
        time.sleep(60)
    elif behaviour == "fails":
        content = {"model": 0, "message": "no such operator", "console": ["warn: Gelu is unknown"]}
        urlopen(f"{address}error", json.dumps(content).encode())
        time.sleep(60)
    elif behaviour == "exits":
        print('[1:INFO:CONSOLE(3)] "no shared memory"', file=sys.stderr)
        raise SystemExit(7)


if __name__ == "__main__":
    main()
