"""Pages of the site that lie at the root of the repository, where code hosts show them.

Links in all pages are written as files of the repository see each other; here they
become links of the site. ``mkdocs.yml`` names this file as a hook.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
#: The file of a Markdown link; neither an address nor a place in the same page.
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)[^)#\s]+")


def on_files(files, config):
    """Add the pages."""
    for source, page in PAGES.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """Let links lead from page to page."""
    here = page.file.src_uri
    sources = {name: source for source, name in PAGES.items()}
    folder = posixpath.dirname(sources.get(here, f"docs/{here}"))

    def link(match):
        target = posixpath.normpath(posixpath.join(folder, match[0]))
        target = PAGES.get(target, target.removeprefix("docs/"))
        return posixpath.relpath(target, posixpath.dirname(here) or ".")

    return LINK.sub(link, markdown)
