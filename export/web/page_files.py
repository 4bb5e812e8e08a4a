"""The page's files: our scripts joined, LiteRT.js, the networks; as a folder, and packed into one HTML file.

Our scripts lie beside this module in `page/`. They are joined into two, the page's and the worker's: a module worker
cannot run LiteRT.js, and a page that is opened from disk may import nothing.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template

_APP = ("assets", "engine", "picture", "sources", "recording", "numbers", "app")
_WORKER = (
    "placement", "faces", "tensors", "steady", "resample", "detail", "paste", "squares", "networks", "worker",
)  # fmt: skip
"""Modules of each script, each after those that it imports."""
_IMPORT = re.compile(r"^import \{[^}]*\} from \"\./\w+\.js\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)

_CORE, _UTILS, _WASM = "@litertjs/core/dist/index.js", "@litertjs/wasm-utils/dist/index.js", "@litertjs/core/wasm/"
_UTILS_IMPORT = 'import { createWasmLib } from "@litertjs/wasm-utils";\n'
_BUILDS = ("litert_wasm_internal", "litert_wasm_compat_internal")
"""LiteRT.js with relaxed SIMD and without, where a student takes twice as long; a browser takes the one that it can."""

_POLICY = {
    "default-src": "'none'",
    "img-src": "blob: data:",
    "media-src": "blob: mediastream:",
    "worker-src": "blob:",
    "base-uri": "'none'",
    "form-action": "'none'",
}
# WebAssembly is compiled code; nothing else is evaluated.
_FOLDER_POLICY = {"script-src": "'self' 'wasm-unsafe-eval'", "style-src": "'self'", "connect-src": "'self'"}


def read_scripts() -> dict[str, bytes]:
    """Return the page's own scripts and style, by name."""
    return {
        "app.js": _join(_APP).encode(),
        "worker.js": _join(_WORKER).encode(),
        "style.css": _read("style.css").encode(),
    }


def take_runtime(library: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of LiteRT.js that a page needs, out of those of its packages: its two builds and its script."""
    files = {
        f"litert/{build}.{suffix}": library[f"{_WASM}{build}.{suffix}"]
        for build in _BUILDS
        for suffix in ("js", "wasm")
    }
    return files | {"litert/core.js": _inline_utils(library[_CORE].decode(), library[_UTILS].decode()).encode()}


def write_index() -> str:
    """Return the HTML of the folder's page."""
    return _fill(
        _FOLDER_POLICY,
        style='<link rel="stylesheet" href="style.css">',
        script='<script type="module" src="app.js"></script>',
        assets="",
    )


def write_single(files: Mapping[str, bytes]) -> str:
    """Return the HTML of a page that holds all of its files.

    Args:
        files: The folder's files by name, but for its HTML.
    """
    style, script = files["style.css"].decode(), files["app.js"].decode()
    policy = {
        "script-src": f"'{_hash(script)}' blob: 'wasm-unsafe-eval'",
        "style-src": f"'{_hash(style)}'",
        "connect-src": "'none'",
    }
    packed = [name for name in files if name not in ("style.css", "app.js")]
    assets = "\n".join(_pack(name, files[name]) for name in packed)
    return _fill(
        policy, style=f"<style>{style}</style>", script=f'<script type="module">{script}</script>', assets=assets
    )


def _read(name: str) -> str:
    return (resources.files("export.web") / "page" / name).read_text(encoding="utf-8")


def _join(modules: Sequence[str]) -> str:
    """Join modules into one script, their imports of each other and their exports taken out."""
    parts = (f"// {name}.js\n\n" + _EXPORT.sub("", _IMPORT.sub("", _read(f"{name}.js"))) for name in modules)
    return "\n".join(parts)


def _inline_utils(core: str, utils: str) -> str:
    """Return LiteRT.js's script with the one function in it that it imports from another package."""
    function = re.sub(r"^export \{.*?^\};\n", "", utils, flags=re.MULTILINE | re.DOTALL)
    note = "// Changed by PocketGAN: @litertjs/wasm-utils stands where it was imported.\n"
    inlined = f"const createWasmLib = (() => {{\n{function}\nreturn createWasmLib;\n}})();\n"
    return note + _without_map(core).replace(_UTILS_IMPORT, _without_map(inlined))


def _without_map(script: str) -> str:
    """Return a script that names no source map, for which a browser's tools would ask."""
    return re.sub(r"^//# sourceMappingURL=.*\n?", "", script, flags=re.MULTILINE)


def _fill(policy: Mapping[str, str], **parts: str) -> str:
    said = "; ".join(f"{name} {sources}" for name, sources in {**_POLICY, **policy}.items())
    return Template(_read("index.html")).substitute(parts, policy=said)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _pack(name: str, content: bytes) -> str:
    # Without a time, the same files give the same page.
    packed = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    return f'<script type="application/gzip" data-asset="{name}">{packed}</script>'


def as_json(description: Mapping[str, object]) -> bytes:
    """Return a page's description as the file that its scripts read."""
    return json.dumps(description, indent=2, ensure_ascii=False).encode() + b"\n"
