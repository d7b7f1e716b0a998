"""The classifier, its backbones and their weights, and class weights."""
