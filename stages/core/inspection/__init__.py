"""Quality control on the way in: what is wrong with an image, its masks and its disc labels, before it is used."""
