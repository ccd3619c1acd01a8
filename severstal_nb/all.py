"Everything a notebook usually wants: `from severstal_nb.all import *`. Loads torch and fastai."
