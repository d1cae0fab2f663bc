"""One file per vendor. What a vendor calls an error becomes Unavailable or Refused here, and nowhere else."""
