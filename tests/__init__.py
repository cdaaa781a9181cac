"""Everything that shows the project true: units, conformance, journeys."""
