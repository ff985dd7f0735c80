"""The ruler: morphometry of one spinal-cord mask.

Measured in the frame of the image: its own axes, scaled to mm. Slices are planes of constant third index of the
canonical (RAS+) volume, so an oblique image is measured along its own slice normal, and only the axes AP and RL of
the diameters are the patient's world axes.

Quantities, with formula and unit (definitions: docs/measuring.md)
------------------------------------------------------------------
csa_mm2             px * py * sum(v) * cos(theta), theta the angle between centreline and slice normal; > 0
diameter_ap_mm      4 sqrt(u' S u), u the patient's front-back axis projected into the tilt-corrected section; > 0
diameter_rl_mm      the same along the right-left axis; > 0
ellipse_minor_mm    4 sqrt(smaller eigenvalue of S); > 0
ellipse_major_mm    4 sqrt(larger eigenvalue of S); > 0
compression_ratio   diameter_ap_mm / diameter_rl_mm; about 0.6 in the neck, smaller = flatter
eccentricity        sqrt(1 - minor^2 / major^2) of the moment ellipse; 0 (circle) to 1
orientation_deg     major axis against the right-left axis; (-90, 90], positive when its right end points forward
angle_ap_deg        atan(dy/dz) of the centreline; positive = leaning to the front going up
angle_rl_deg        atan(dx/dz); positive = leaning to the patient's right going up
length_mm           length of cord that a slice stands for, pz / cos(theta); a sum for levels and ranges

S are the value-weighted second moments of the section (Sheppard 1897, doi:10.1112/plms/s1-29.1.353, for the
correction of binned moments). Undefined is NaN.
"""
