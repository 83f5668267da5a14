"""Trillet's batch-calls family and its neighbours, as the contract has them."""
