"""Gradients in Python: functions, layers and PyTorch modules held to what they stand for."""
