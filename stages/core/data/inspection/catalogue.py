"""What each check looks for, in words for the page."""

from __future__ import annotations

#: By the name of the check: what it says of an image, so that a reader need not know the name.
MEANING = {
    "unreadable": "not a readable NIfTI volume: another format, truncated, damaged, or no real numbers",
    "header-claim": "the header claims more voxels than the file holds, or than can be read",
    "dimensions": "not three dimensions",
    "affine-invalid": "no valid position in the scanner: the affine is not finite or cannot be inverted",
    "sheared": "voxel axes that are not at right angles",
    "spacing": "voxel size out of range",
    "oblique": "far from the nearest axes: slices do not cut the cord straight",
    "forms-missing": "neither qform nor sform is set: left and right are a guess",
    "forms-disagree": "qform and sform put the image in different places",
    "grid": "a mask or label that does not lie on the grid of its image",
    "values": "values that are NaN or infinite, or cannot be read",
    "image-constant": "one value everywhere",
    "image-clipped": "many voxels at the largest value",
    "mask-values": "a mask with values other than 0 and 1 (a soft mask: outside 0 to 1)",
    "mask-empty": "a mask without a voxel",
    "mask-components": "a mask in several pieces",
    "mask-border": "a mask that reaches the side of the image: the cord may be cut off",
    "mask-volume": "mask volume far from the other images of this contrast",
    "mask-length": "mask length far from the other images of this contrast",
    "discs-missing": "no disc labels where there should be some",
    "discs-values": "disc labels that are no whole numbers",
    "discs-range": "a label that is no disc",
    "discs-duplicated": "one disc in two places",
    "discs-order": "discs out of order from head to foot",
    "discs-gap": "a disc is missing between others",
    "twin": "the very voxels of another participant's image",
}
