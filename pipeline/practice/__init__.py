"""Made-up data from what is known of a competition's columns, for competitions that draw nothing of their own: tables (`rows`), pictures
with one thing of a class (`pictures`), pictures with boxes (`scenes`). Nothing here has seen a row of real data.
"""

from __future__ import annotations

from pipeline.practice.columns import Category, Columns, Date, Number, Text, of_kind

__all__ = ["Category", "Columns", "Date", "Number", "Text", "of_kind"]
