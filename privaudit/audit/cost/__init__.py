"""What an audit will cost, measured by a few real steps."""
