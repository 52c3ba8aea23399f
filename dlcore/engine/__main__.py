import sys

from dlcore.engine.engine import main

sys.exit(main())
