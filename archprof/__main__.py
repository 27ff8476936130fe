"""`python -m archprof`."""

from .cli import main

raise SystemExit(main())
