"""From radiographs to the rows of a data set, on one machine or many."""
