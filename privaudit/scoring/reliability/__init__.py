"""How far scores can be trusted: models that stand out, halves of them, audits drawn anew, intervals."""
