"""What any ``nn.Module`` sees and costs: receptive field, complexity, latency.

Nothing here knows Lightning, MLflow, matplotlib or the networks of this package.
"""

from clothing_lightning.network_analysis.complexity import NetworkReport, analyze

__all__ = ["NetworkReport", "analyze"]
