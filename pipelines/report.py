"""The executed notebook as a page that one would send to a director: the argument and its pictures, no plumbing."""

import json
import re
from pathlib import Path

STYLE = Path(__file__).with_name("report.css")


def entitle_simulated(executed: Path) -> None:
    """The title of an executed notebook, and so of its page, gets the word."""
    notebook = json.loads(executed.read_text(encoding="utf-8"))
    titled = next(cell for cell in notebook["cells"] if "".join(cell["source"]).startswith("# "))
    first, *rest = "".join(titled["source"]).splitlines(keepends=True)
    titled["source"] = [f"{first.rstrip()} (simulated)\n", *rest]
    executed.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def to_html(executed: Path) -> Path:
    """Write the page beside the executed notebook and return its path; code, prompts and warnings are left out."""
    import nbformat
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    notebook = nbformat.read(executed, as_version=4)
    for cell in notebook.cells:
        cell.get("outputs", [])[:] = [o for o in cell.get("outputs", []) if o.get("name") != "stderr"]
    exporter = HTMLExporter(
        template_name="basic",
        config=Config(
            {"HTMLExporter": {"exclude_input": True, "exclude_input_prompt": True, "exclude_output_prompt": True}}
        ),
    )
    body, _ = exporter.from_notebook_node(notebook)
    title = next(
        (
            line.lstrip("# ")
            for cell in notebook.cells
            if cell.cell_type == "markdown"
            for line in cell.source.splitlines()
            if line.startswith("# ")
        ),
        executed.stem,
    )
    file = executed.with_suffix(".html")
    file.write_text(page(title, body), encoding="utf-8")
    return file


def card_to_html(card: str) -> str:
    """A model card as a page."""
    from nbconvert.filters import markdown2html

    return page(card.partition("\n")[0].lstrip("# "), markdown2html(card))


def page(title: str, body: str) -> str:
    """A whole page: no script, nothing fetched, our style."""
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta http-equiv='Content-Security-Policy' "
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{_escaped(title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{_without_scripts(body)}</main></body></html>\n"
    )


def _without_scripts(body: str) -> str:
    return re.sub(r"<script\b.*?</script>", "", body, flags=re.DOTALL | re.IGNORECASE)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
