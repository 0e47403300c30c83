"""The pages of docs/reference/notebooks: notebooks with what they show, run when the documentation is built."""

import base64
import os
from pathlib import Path
from typing import Any


def write(notebooks: list[Path], folder: Path) -> None:
    """Run each notebook, and write what its cells say, do and show."""
    import nbclient
    import nbformat

    folder.mkdir(exist_ok=True)
    for notebook in notebooks:
        read = nbformat.read(notebook, as_version=4)
        nbclient.NotebookClient(read, timeout=300, kernel_name="python3").execute(env=_surroundings())
        parts = []
        for at, cell in enumerate(read.cells):
            code = cell.cell_type == "code"
            parts.append(f"```python\n{cell.source}\n```" if code else cell.source)
            for number, output in enumerate(cell.get("outputs", ())):
                parts.append(_shown(output, folder, f"{notebook.stem}-{at}-{number}.png"))
        parts.append(f"{{download}}`{notebook.name} <../../notebooks/{notebook.name}>`\n")
        (folder / f"{notebook.stem}.md").write_text("\n\n".join(filter(None, parts)), encoding="utf-8")
    index = ["# Notebooks", "", "```{toctree}", *(notebook.stem for notebook in notebooks), "```"]
    (folder / "index.md").write_text("\n".join(index) + "\n", encoding="utf-8")


def _surroundings() -> dict[str, str]:
    """Without a backend of ours, which would show no figure."""
    return {name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | {"JUPYTER_PLATFORM_DIRS": "1"}


def _shown(output: Any, folder: Path, name: str) -> str:
    """A picture, a table or text; nothing of what warnings say."""
    data = output.get("data", {})
    if "image/png" in data:
        (folder / name).write_bytes(base64.b64decode(data["image/png"]))
        return f"![What the code above draws]({name})"
    if "text/html" in data:
        return f"```{{raw}} html\n{data['text/html']}\n```"
    text = data.get("text/plain") or (output.get("text", "") if output.get("name") == "stdout" else "")
    return f"```text\n{text.rstrip()}\n```" if text else ""
