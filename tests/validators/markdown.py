"""Renders Markdown as GitHub does, HTML left in, and prints what became of it: markdown.py FILE"""

import json
import pathlib
import sys

import cmarkgfm
from cmarkgfm.cmark import Options
from lxml import html

text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
page = cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE)
# The parser of lxml refuses characters that XML does not have; there should be none.
tree = html.fromstring(f"<div>{page}</div>")
tags = sorted({element.tag for element in tree.iter() if isinstance(element.tag, str)})
rows = [[cell.text_content() for cell in row] for row in tree.iter("tr")]
links = [html.tostring(link, encoding="unicode") for link in tree.iter("a")]
print(json.dumps({"tags": tags, "rows": rows, "links": links, "text": tree.text_content()}))
