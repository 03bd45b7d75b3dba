"""HTML pages from templates."""

from jinja2 import Environment, PackageLoader


def page_templates(package: str) -> Environment:
    """Return the templates in the folder `templates` of a package; values in them are escaped."""
    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
