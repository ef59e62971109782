"""Data that Crmweb can make by itself: the default pipeline, the demo company, generated deals. Plain Python."""

from crmweb.seeds.demo import tell_demo
from crmweb.seeds.generated import generate
from crmweb.seeds.pipelines import make_default
from crmweb.seeds.removal import remove_demo

__all__ = ["generate", "make_default", "remove_demo", "tell_demo"]
