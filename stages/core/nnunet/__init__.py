"""The one door to nnU-Net v2 (doi:10.1038/s41592-020-01008-z): plans, training and inference.

Training and inference are separate modules, so that a change of how we segment retrains nothing.
"""
