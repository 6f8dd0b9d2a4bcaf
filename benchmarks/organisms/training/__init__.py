"""How a family's organisms are made: their world, their suites, their training, what is measured, their files."""
