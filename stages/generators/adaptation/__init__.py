"""Stage adaptation: `world` makes problems, `streams` keep them apart, `arms` share them out, `measures` compare models."""
