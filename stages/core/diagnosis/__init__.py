"""What this machine and this workspace have, found out by small checks of which none can stop the others."""
