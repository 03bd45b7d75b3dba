"""The results of `saliency predict` as one page that works from disk."""

from saliency.report.page import REPORT_NAME, write_report

__all__ = ["REPORT_NAME", "write_report"]
