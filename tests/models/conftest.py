from baselines.conftest import bert, encoder

__all__ = ["bert", "encoder"]
