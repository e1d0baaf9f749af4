"""How good a segmentation is: figures in millimetres with their definitions, and tables of them."""
