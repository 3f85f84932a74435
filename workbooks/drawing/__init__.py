"""Drawings of dashboards: what a workbook shows, drawn from the same sheets and data, since no Tableau is at hand."""
