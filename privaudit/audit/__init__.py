"""An audit's plan and what belongs to it: settings filled in, code examined, stored signals and results."""
