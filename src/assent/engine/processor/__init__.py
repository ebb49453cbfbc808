"""Kernels for a processor in C++, built at their first use (compiled), and their use from torch."""
