"""How texts are run fast: read as sums, written as nests for the registers, or laid open and compiled as they stand."""
