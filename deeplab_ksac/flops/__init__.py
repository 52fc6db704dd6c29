"""Multiply-adds: counted on the graph, in the thesis's convention, and for its tables."""
