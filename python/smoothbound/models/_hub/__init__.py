"""Classifiers of Transformers and timm as networks over pixels or embeddings, with their checks."""
