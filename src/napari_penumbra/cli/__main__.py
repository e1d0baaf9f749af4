"""``python -m napari_penumbra.cli``: the ``penumbra`` command of exactly this environment."""

from napari_penumbra.cli import main

if __name__ == "__main__":
    main()
