"""Matching files of a folder to cases."""
