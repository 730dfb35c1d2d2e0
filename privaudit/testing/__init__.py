"""For those who bring something of their own: one call, in a test of theirs, that says all that is wrong with it.

::

    def test_mine():
        check_dataset("own.py:data")
        check_network("own.py:network", input_shape=(32, 32, 3), classes=10)
        check_training("own.py:fit")
        check_unlearner("my-method")
"""

from privaudit.testing.contract import ContractError
from privaudit.testing.dataset import check_dataset
from privaudit.testing.network import check_network
from privaudit.testing.training import check_training
from privaudit.testing.unlearner import check_unlearner, practice_context

__all__ = [
    "ContractError",
    "check_dataset",
    "check_network",
    "check_training",
    "check_unlearner",
    "practice_context",
]
