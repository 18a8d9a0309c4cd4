"""Panels for the notebook: anywidgets over a session, one file each."""
