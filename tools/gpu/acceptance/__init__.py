"""What is run on the first GPU: two calls, of tests and of measurements. tools/gpu-bundle carries this folder; bench/README.md tells more."""
