"""How well a language model compresses text: documents, windows, bits per character and per byte, and the linear law of
bits and ability. It knows models and arrays; it knows no stage, and not where texts or models come from."""
