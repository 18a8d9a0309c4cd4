"""The command grammar, once: ``hanamictl`` in a shell and ``%hanami`` in a notebook are its two faces."""
