"""The product.

Imports make some 200,000 objects that stay; looking through them for garbage every 700 new ones took a
tenth of a cold start.
"""

import gc

gc.set_threshold(50_000)
