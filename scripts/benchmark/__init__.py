"""What orka costs beside its peers: measures to one table, of ratios where a peer is named."""
