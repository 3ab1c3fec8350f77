"""One flow per file; each reads as the story of its stage."""
