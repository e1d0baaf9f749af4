"""The study on disk: one folder that holds everything, and the one object, `store.Study`, that reads and writes it."""
