// Only pins: scripts/controlplane downloads these modules for the CRD manifests inside them. They
// stand in a go.mod of their own so that what they require has no say in the server's versions.
module orka/tests/controlplane/crds

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
