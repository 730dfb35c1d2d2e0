"""The paper's tables and figures as commands: each a claim, each run an answer (docs/reproducing.md)."""
