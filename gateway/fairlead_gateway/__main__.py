"""``python -m fairlead_gateway`` is ``fairlead``."""

from fairlead_gateway.cli import main

main()
