"""Figures of a segmentation: the confusion matrix and what follows from it, boundaries."""
