"What the `severstal` commands do."
