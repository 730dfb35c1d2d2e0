"""One file per unlearning method; `privaudit.unlearning.base` names them for ``--method``."""
