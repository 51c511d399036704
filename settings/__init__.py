"""params.yaml as typed, frozen settings: read, merged with a preset and overrides, and checked once, at the border."""
