"""Segmentation by a model that TensorFlow Serving serves, and the messages for it; without TensorFlow."""
