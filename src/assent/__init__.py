"""Assent: the InstructGPT system, from the labeler's keyboard to a served model and round again."""
