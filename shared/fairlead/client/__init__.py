"""A client of a gateway, for Python programs: ``fairlead.Client``, with ``pip install 'fairlead[client]'``."""
