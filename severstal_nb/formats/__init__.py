"File formats of masks and labels."
