"""The site of the documentation: the pages of docs/ and those beside the code, with what is generated, as one tree.

``python -m website`` writes the tree to build/pages; the site's generator makes HTML of it (``make docs``).
"""
