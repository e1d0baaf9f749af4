"""From a checkpoint's network and a case's images to labels and a confidence map in the study."""
