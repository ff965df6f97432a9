"""Real processes, a real socket and, where Go is found, a real kube-apiserver."""
