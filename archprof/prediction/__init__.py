"""Time on hardware that is not here: from counts and a table of published throughput. Torch-free but for counting."""
