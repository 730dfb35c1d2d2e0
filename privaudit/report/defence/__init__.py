"""The report on what lowers an audit's risk, and what it costs."""
