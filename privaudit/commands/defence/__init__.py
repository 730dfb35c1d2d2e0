"""What ``privaudit defend`` does: variations of an audit, measures at its output, and what they come to."""
