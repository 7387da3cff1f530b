"""The only room that speaks LLVM: vectors as values and register tiles."""
