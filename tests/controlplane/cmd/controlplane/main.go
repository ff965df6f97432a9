// Command controlplane runs etcd and kube-apiserver in one process on loopback ports.
//
// Everything it needs and keeps lies in --dir: etcd's data, keys, certificates, kubeconfigs. The
// same --dir and --port give the same server again: same data, same certificate. One JSON line on
// stdout says that /readyz is ok and where everything is; the log goes to stderr.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const (
	readyTimeout = 2 * time.Minute // a cold start on a busy two-core machine takes some 15 s
	readyPoll    = 20 * time.Millisecond
	// kube-apiserver waits for open watches up to its request timeout of a minute. Nothing is lost
	// by leaving earlier: etcd has every acknowledged write.
	stopGrace = 2 * time.Second

	// Ports are taken below the range that Linux gives to outgoing connections (32768 and up): no
	// other process is handed the port while the server is down for a restart, and a client that
	// keeps dialling it cannot be connected to itself.
	firstPort, lastPort = 20000, 32767
)

// ready is the line on stdout.
type ready struct {
	Server     string `json:"server"`
	CA         string `json:"ca"`
	Kubeconfig string `json:"kubeconfig"`
	PID        int    `json:"pid"`
}

func main() {
	dir := flag.String("dir", "", "folder for data, certificates and kubeconfigs; made if missing")
	port := flag.Int("port", 0, "port of the API server; 0 takes a free one")
	clientCA := flag.Bool("client-ca", false,
		"accept client certificates too; writes pki/client-ca.crt and cert.kubeconfig, an admin")
	stdin := flag.Bool("stdin", false, "stop at the end of stdin, so when the parent has died")
	flag.Parse()
	if *dir == "" || flag.NArg() != 0 {
		fmt.Fprintf(os.Stderr, "controlplane: needs --dir and no arguments, got %q\n", os.Args[1:])
		os.Exit(2)
	}
	if err := run(*dir, *port, *clientCA, *stdin); err != nil {
		fmt.Fprintf(os.Stderr, "controlplane: %v\n", err)
		os.Exit(1)
	}
}

func run(dir string, port int, clientCA, stdin bool) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	if port == 0 {
		port = ports[0]
	}
	files, err := prepare(dir, fmt.Sprintf("https://127.0.0.1:%d", port), clientCA)
	if err != nil {
		return fmt.Errorf("prepare %s: %w", dir, err)
	}
	etcdURL := url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", ports[1])}
	etcd, err := startEtcd(filepath.Join(dir, "etcd"), etcdURL)
	if err != nil {
		return fmt.Errorf("etcd in %s: %w", dir, err)
	}

	// The command installs kube-apiserver's own handler for the same two signals.
	command := app.NewAPIServerCommand()
	command.SetArgs(serverArgs(files, port, etcdURL))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if stdin {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		}()
	}
	served := make(chan error, 1)
	go func() { served <- command.Execute() }()

	answers := make(chan error, 1)
	go func() { answers <- waitReady(files) }()
	select {
	case err := <-served:
		return fmt.Errorf("kube-apiserver on port %d: %w", port, orEnded(err))
	case <-stop:
		return nil
	case err := <-answers:
		if err != nil {
			return err
		}
	}
	line := ready{files.server, files.servingCert, files.adminKubeconfig, os.Getpid()}
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		return fmt.Errorf("write to stdout: %w", err)
	}

	select {
	case err := <-served:
		return fmt.Errorf("kube-apiserver on port %d: %w", port, orEnded(err))
	case <-stop:
	}
	select {
	case err := <-served:
		etcd.Close()
		return err
	case <-time.After(stopGrace):
		return nil
	}
}

// orEnded names the end of a server that nobody asked to stop.
func orEnded(err error) error {
	if err == nil {
		return errors.New("ended without an error before it was told to stop")
	}
	return err
}

// freePorts finds n different ports on which nobody listens.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		// Held until all are found, so that no port comes twice.
		defer listener.Close()
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("no %d free ports on 127.0.0.1 between %d and %d", n, firstPort, lastPort)
}

func startEtcd(dir string, client url.URL) (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Dir = dir
	config.ListenClientUrls = []url.URL{client}
	config.AdvertiseClientUrls = []url.URL{client}
	config.ListenPeerUrls = nil // one member has no peers
	// Its own vote is all it needs to lead: do not wait a second for others'.
	config.TickMs, config.ElectionMs = 10, 100
	config.LogLevel = "error"
	// Data outlives the process, which a test may kill, and need not outlive the machine.
	config.UnsafeNoFsync = true
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		return nil, err
	case <-time.After(readyTimeout):
		return nil, fmt.Errorf("not ready after %s", readyTimeout)
	}
}

func serverArgs(files files, port int, etcd url.URL) []string {
	args := []string{
		"--etcd-servers=" + etcd.String(),
		"--bind-address=127.0.0.1",
		// Else the address of the default route is asked for, which a sandbox may not have.
		"--advertise-address=127.0.0.1",
		// Loopback addresses are not allowed in Endpoints: do not try to publish ours.
		"--endpoint-reconciler-type=none",
		fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + files.servingCert,
		"--tls-private-key-file=" + files.servingKey,
		"--service-cluster-ip-range=10.0.0.0/24",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file=" + files.serviceAccountKey,
		"--service-account-key-file=" + files.serviceAccountKey,
		"--token-auth-file=" + files.tokens,
		"--authorization-mode=RBAC",
		// No controller makes the default service accounts that it would wait for.
		"--disable-admission-plugins=ServiceAccount",
	}
	if files.clientCA != "" {
		args = append(args, "--client-ca-file="+files.clientCA)
	}
	return args
}

// waitReady returns when /readyz answers 200, and the last answer seen when it never does.
func waitReady(files files) error {
	pem, err := os.ReadFile(files.servingCert)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequest(http.MethodGet, files.server+"/readyz", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	for deadline := time.Now().Add(readyTimeout); ; time.Sleep(readyPoll) {
		response, err := client.Do(request)
		if err == nil {
			body, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("%s: %s", response.Status, body)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s/readyz not ok after %s: %w", files.server, readyTimeout, err)
		}
	}
}
