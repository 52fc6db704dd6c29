"""Pictures from arrays: predictions, features, relations, curves, confusion; and the arrays, read out of models."""
