"""What is trained: networks sized by the data."""

from privaudit.networks.build import NETWORKS, build_network, check_network, network_source
from privaudit.networks.classifier import untied

__all__ = ["NETWORKS", "build_network", "check_network", "network_source", "untied"]
