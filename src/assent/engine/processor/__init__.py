"""Kernels for a processor in C++, built at their first use (library), and their use from torch."""
