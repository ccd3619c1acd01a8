"Metrics on masks, on image labels, and over batches."
from .masks import *
from .labels import *
from .meters import *
