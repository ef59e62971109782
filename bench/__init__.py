"""What a board and a move cost, through the real HTTP views, in one process. `python -m bench`, or `make bench`."""
