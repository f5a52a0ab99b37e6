"""The parts of a report on a run: what is read, measured, drawn and laid out."""
