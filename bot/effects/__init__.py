"""What is done for each kind of effect: ask the neighbour once, reading back first whenever it may have been done before."""
