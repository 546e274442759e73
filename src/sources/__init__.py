"""Where raw tables come from: one adapter a source, all giving the tables that contracts.tables describes."""

from sources.catalogue import names, open_source, wishes
from sources.source import Source
from sources.summary import describe

__all__ = ["Source", "describe", "names", "open_source", "wishes"]
