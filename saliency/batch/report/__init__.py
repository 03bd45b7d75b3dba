"""The results of `saliency predict` as one page that works from disk."""

from saliency.batch.report.page import REPORT_NAME, stream_report, write_report

__all__ = ["REPORT_NAME", "stream_report", "write_report"]
