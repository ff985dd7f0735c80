"""The faults that each check looks for, in words for the page."""

from __future__ import annotations

#: Name of a check -> the fault that it found, for readers who do not know the names.
MEANING = {
    "unreadable": "not a readable NIfTI volume: another format, truncated, damaged, or not of real numbers",
    "header-claim": "the header claims more voxels than the file holds, or than can be read",
    "dimensions": "not three dimensions",
    "affine-invalid": "no valid position in the scanner: the affine has NaN or infinite numbers, or cannot be inverted",
    "units": "the header says that its lengths are not in mm",
    "sizes-disagree": "the affine and pixdim of the header give two voxel sizes",
    "sheared": "voxel axes that are not at right angles",
    "spacing": "voxel size out of range",
    "oblique": "voxel axes turned far away from the axes of the scanner: slices do not cut the cord at a right angle",
    "forms-missing": "neither qform nor sform is set: nobody knows which side is left",
    "forms-disagree": "qform and sform put the image in different places",
    "grid": "a mask or label that does not lie on the grid of its image",
    "values": "values that are NaN or infinite, or cannot be read",
    "image-constant": "one value everywhere",
    "image-clipped": "many voxels have the largest value: brighter tissue cannot be told apart",
    "mask-values": "a mask with values other than 0 and 1 (a soft mask: outside 0 to 1)",
    "mask-no-cord": "a mask that fills the view or is larger than any cord: the image itself, or another structure",
    "mask-axes": "a mask that is longer across the slices than along them: the header names another orientation",
    "mask-empty": "a mask without any voxel of the cord",
    "mask-components": "a mask in several pieces",
    "mask-border": "a mask that reaches the side of the image: the cord may be cut off",
    "mask-volume": "mask volume far from the other images of this contrast",
    "mask-length": "mask length far from the other images of this contrast",
    "discs-missing": "no disc labels, although other participants have them",
    "discs-values": "disc labels that are not whole numbers",
    "discs-range": "a label whose number belongs to no disc",
    "discs-duplicated": "the same disc number in two places",
    "discs-order": "disc numbers that do not rise from head to foot",
    "discs-gap": "a disc number is missing between two others",
    "twin": "exactly the same voxels as the image of another participant",
}
