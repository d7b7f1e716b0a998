"""Parts of the program that draws the embedded data set."""
