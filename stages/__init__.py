"""cordrift: keep a spinal-cord segmentation model trained, released and watched.

One module per DVC stage (verbs) lies here; the library (nouns) lies in ``stages.core``.
"""
