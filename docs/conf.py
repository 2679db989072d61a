"""How the documentation is built: Markdown by MyST, the furo theme, nothing fetched from elsewhere.

`python3 dev.py docs` builds it into build/docs; a warning is an error.
"""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.abspath(".."))

from sexton import __version__

project = "Sexton"
author = "the Sexton authors"
project_copyright = "2026, the Sexton authors"
release = version = __version__

extensions = ["myst_parser"]
# `[text](page.md#a-heading)` works here as it does where the files are read as they are.
myst_heading_anchors = 3
# `--for` and JSON in the text of a command's help are to be typed as they stand.
smartquotes = False

html_theme = "furo"
html_title = "Sexton"
html_static_path = ["_static"]
html_css_files = ["sexton.css"]
html_copy_source = False
html_show_sphinx = False
