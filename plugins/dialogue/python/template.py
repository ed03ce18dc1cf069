"""Prompts as Jinja templates over a row, which print and refuse what the Rust SDK's do."""

import codecs
import functools
import re

import jinja2
import jinja2.debug

from failure import invalid_config, invalid_sample

# Jinja imports both late, the one when a template fails, the other for texts in a template; once the component is built
# there are no files left to import.
LATE = (jinja2.debug, codecs.lookup("unicode-escape"))


class Missing(jinja2.StrictUndefined):
    """What the row does not have. Asking for it (`{% if context %}`) is no error, printing it is."""

    def __bool__(self) -> bool:
        return False


ENVIRONMENT = jinja2.Environment(undefined=Missing, keep_trailing_newline=True)
ENVIRONMENT.filters["regex_replace"] = lambda text, pattern, replacement: re.sub(pattern, replacement, text)


@functools.cache
def parse(source: str) -> jinja2.Template:
    return ENVIRONMENT.from_string(source)


def check(source: str, path: str) -> None:
    """Refuses what is no template; `path` is where it stands in the config."""
    try:
        parse(source)
    except jinja2.TemplateSyntaxError as error:
        raise invalid_config(f"config: `{path}`: template: {error.message} (line {error.lineno})") from None


def render(source: str, row: dict) -> str:
    try:
        return parse(source).render(row)
    except jinja2.UndefinedError as error:
        columns = ", ".join(f"`{column}`" for column in row)
        raise invalid_sample(f"template: undefined value: {error.message}; the row has {columns}") from None
    except Exception as error:
        raise invalid_sample(f"template: {error}") from None
