// Package peer is what the client-go commands have in common: their flags and their output.
package peer

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Target is a kind on a server.
type Target struct {
	Config   *rest.Config // without client-go's own rate limit
	Resource schema.GroupVersionResource
}

// Parse adds --kubeconfig and --resource to flags and reads args.
func Parse(flags *flag.FlagSet, args []string) (Target, error) {
	kubeconfig := flags.String("kubeconfig", "", "whom to be and where")
	resource := flags.String("resource", "certificates.v1.cert-manager.io",
		"RESOURCE.VERSION.GROUP; a core resource ends in a dot, as in configmaps.v1.")
	if err := flags.Parse(args); err != nil {
		return Target{}, err
	}
	if flags.NArg() != 0 {
		return Target{}, fmt.Errorf("unexpected arguments %q", flags.Args())
	}
	gvr, _ := schema.ParseResourceArg(*resource)
	if gvr == nil {
		return Target{}, fmt.Errorf("--resource %q is not RESOURCE.VERSION.GROUP", *resource)
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return Target{}, fmt.Errorf("--kubeconfig %q: %w", *kubeconfig, err)
	}
	config.QPS = -1
	return Target{config, *gvr}, nil
}

// Print writes result as one JSON line.
func Print(result any) error {
	return json.NewEncoder(os.Stdout).Encode(result)
}

// Exit prints result, or the error, and ends the process.
func Exit(result any, err error) {
	if err == nil {
		err = Print(result)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
		os.Exit(1)
	}
	os.Exit(0)
}
