"""What `docs/render_pictures.py` is made of: the studies behind the pictures, a camera, and a recipe per picture."""
