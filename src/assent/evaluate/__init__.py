"""What came out: reports over run directories."""
