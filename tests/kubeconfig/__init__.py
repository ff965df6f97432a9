"""Kubeconfig setups through orka and through client-go: the same, or different by name."""
