"""What is run on a GPU: two calls, of tests and of measurements. docs/GPU-BUNDLE.md tells more."""
