"""Text files from templates, which lie beside the module that fills them in."""

from collections.abc import Callable, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def filled(template: Path, values: Mapping[str, object], *filters: Callable[..., object]) -> str:
    """Fill in a template of code, scripts or Markdown; nothing is escaped but by a filter.

    Args:
        template: Its file.
        values: What it asks for; anything that is missing is an error.
        filters: What it may apply to values, by function name.
    """
    environment = Environment(  # noqa: S701  (no HTML)
        loader=FileSystemLoader(template.parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters.update({function.__name__: function for function in filters})
    return environment.get_template(template.name).render(values)
