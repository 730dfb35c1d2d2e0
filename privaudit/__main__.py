"""``python -m privaudit``."""

from privaudit.cli.main import main

main()
