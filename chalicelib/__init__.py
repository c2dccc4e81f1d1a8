"""The product.

Importing it makes some 200,000 objects that stay. Looking through them for garbage at every 700 new ones
took a tenth of a cold start; what refers to itself, which alone needs that, is rare here.
"""

import gc

gc.set_threshold(200_000)
