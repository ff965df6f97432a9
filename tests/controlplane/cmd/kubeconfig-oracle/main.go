// Command kubeconfig-oracle says what client-go makes of kubeconfig setups.
//
// Each line of stdin is one setup that is laid out already, {"root", "env", "flags"}; each line of
// stdout is its answer, in the same order: {"config"} with what a plain client-go program would
// run with, or {"error"} with the class of what it would say; "later" is an error that such a
// program meets when it builds its first request.
//
// The process takes on the environment and the working directory of each setup in turn. The one
// path that client-go has built in, that of a pod's service account, is made a link into the
// setup's root if --link-service-account is given: for a mount namespace of its own only.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/homedir"
	"k8s.io/klog/v2"
)

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// setup is one case, laid out in root, which is also its working directory.
type setup struct {
	Root  string            `json:"root"`
	Env   map[string]string `json:"env"`
	Flags struct {
		Kubeconfig string `json:"kubeconfig"`
		Context    string `json:"context"`
	} `json:"flags"`
}

func main() {
	link := flag.Bool("link-service-account", false, "make "+serviceAccount+" the setup's own")
	flag.Parse()
	klog.SetLogger(klog.Logger{}) // discards: what client-go logs is no part of an answer
	if err := run(os.Stdin, os.Stdout, *link); err != nil {
		fmt.Fprintln(os.Stderr, "kubeconfig-oracle:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, link bool) error {
	setups, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var one setup
		if err := setups.Decode(&one); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("a setup is not JSON: %w", err)
		}
		if err := one.enter(link); err != nil {
			return err
		}
		if err := answers.Encode(one.answer()); err != nil {
			return err
		}
	}
}

// enter makes the process look to client-go as if it had been started in this setup.
func (s *setup) enter(link bool) error {
	os.Clearenv()
	for name, value := range s.Env {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	// Worked out by the package when a process starts.
	clientcmd.RecommendedConfigDir = filepath.Join(homedir.HomeDir(), clientcmd.RecommendedHomeDir)
	clientcmd.RecommendedHomeFile = filepath.Join(
		clientcmd.RecommendedConfigDir, clientcmd.RecommendedFileName)
	if link {
		if err := os.Remove(serviceAccount); err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(serviceAccount), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(filepath.Join(s.Root, serviceAccount), serviceAccount); err != nil {
			return err
		}
	}
	return os.Chdir(s.Root)
}

// answer is what one setup comes to.
type answer struct {
	Config *config  `json:"config,omitempty"`
	Later  *problem `json:"later,omitempty"`
	Error  *failure `json:"error,omitempty"`
}

func (s *setup) answer() answer {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = s.Flags.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: s.Flags.Context}
	deferred := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	resolved, err := deferred.ClientConfig()
	if err != nil {
		return answer{Error: classify(err, rules)}
	}
	namespace, _, err := deferred.Namespace()
	if err != nil {
		return answer{Error: classify(err, rules)}
	}
	config := &config{Namespace: namespace}
	if resolved.BearerTokenFile == serviceAccount+"/token" {
		config.InCluster = true
	} else if raw, err := deferred.RawConfig(); err != nil {
		return answer{Error: classify(err, rules)}
	} else {
		config.Context = raw.CurrentContext
		if s.Flags.Context != "" {
			config.Context = s.Flags.Context
		}
		if context := raw.Contexts[config.Context]; context != nil {
			config.Cluster, config.User = context.Cluster, context.AuthInfo
		}
	}
	later := config.fill(resolved)
	return answer{Config: config, Later: later}
}
