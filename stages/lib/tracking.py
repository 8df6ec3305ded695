"""MLflow as a mirror of the journal (placeholder interface while the workspace is built)."""


class Mirror:
    def __init__(self, root, entry):
        pass

    def close(self):
        pass
