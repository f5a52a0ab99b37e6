"""Fused forms of what is hot; the plain form of each stands in losses/."""
