"""`python -m layerwise` is `layerwise`."""

from layerwise.cli import main

if __name__ == "__main__":
    main()
