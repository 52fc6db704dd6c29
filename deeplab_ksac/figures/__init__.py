"""Pictures from arrays: predictions, features, relations, curves, confusion."""
