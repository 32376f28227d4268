"""What is made of a Relax module before it is legalized, and the arithmetic that importers and passes share."""
