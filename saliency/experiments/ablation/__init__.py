"""Studies: arms that differ in one thing are trained alike and compared, with intervals."""
