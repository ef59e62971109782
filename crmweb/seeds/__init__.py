"""Data that Crmweb can make by itself: the default pipeline, the demo company. Plain Python."""

from crmweb.seeds.demo import tell_demo
from crmweb.seeds.pipelines import make_default
from crmweb.seeds.removal import remove_demo

__all__ = ["make_default", "remove_demo", "tell_demo"]
