package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/pkg/apis/clientauthentication"
	"k8s.io/client-go/pkg/apis/clientauthentication/install"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // oidc, and what gcp and azure say now
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
)

// config is a rest.Config as far as it has an effect. Bytes are given by their hash.
type config struct {
	Scheme             string         `json:"scheme"`
	Host               string         `json:"host"`
	Port               string         `json:"port"`
	Path               string         `json:"path"` // before that of each request
	Namespace          string         `json:"namespace"`
	Context            string         `json:"context"`
	Cluster            string         `json:"cluster"`
	User               string         `json:"user"`
	InCluster          bool           `json:"in_cluster"`
	CA                 string         `json:"ca"` // sha256:… or a path
	Insecure           bool           `json:"insecure"`
	TLSServerName      string         `json:"tls_server_name"`
	DisableCompression bool           `json:"disable_compression"`
	Proxy              *proxy         `json:"proxy"`
	Token              string         `json:"token"`
	TokenFile          string         `json:"token_file"`
	Basic              []string       `json:"basic"`
	Certificate        []string       `json:"certificate"` // two paths, or two sha256:…
	Impersonate        *impersonation `json:"impersonate"`
	AuthProvider       string         `json:"auth_provider"`
	Plugin             *plugin        `json:"plugin"`
}

type proxy struct {
	Scheme string   `json:"scheme"`
	Host   string   `json:"host"`
	Port   string   `json:"port"`
	Basic  []string `json:"basic"`
}

type impersonation struct {
	User   string              `json:"user"`
	UID    string              `json:"uid"`
	Groups []string            `json:"groups"`
	Extra  map[string][]string `json:"extra"`
}

type plugin struct {
	Command         string          `json:"command"`
	Args            []string        `json:"args"`
	Env             [][]string      `json:"env"`
	APIVersion      string          `json:"api_version"`
	InteractiveMode string          `json:"interactive_mode"`
	InstallHint     string          `json:"install_hint"`
	Cluster         json.RawMessage `json:"cluster"` // as KUBERNETES_EXEC_INFO has it
}

// fill puts what is resolved into c, and returns what a client of it would trip over.
func (c *config) fill(from *rest.Config) *problem {
	base, _, err := rest.DefaultServerUrlFor(from)
	if err != nil {
		return &problem{"cluster.server", err.Error()}
	}
	c.Scheme, c.Host, c.Port = base.Scheme, base.Hostname(), portOf(base)
	// Requests go below the path of the server, cleaned.
	request := rest.NewRequestWithClient(base, "", rest.ClientContentConfig{}, nil).AbsPath("/api")
	c.Path = strings.TrimSuffix(request.URL().EscapedPath(), "/api")
	c.CA = hashOr(from.CAData, from.CAFile)
	c.Insecure, c.TLSServerName = from.Insecure, from.ServerName
	c.DisableCompression = from.DisableCompression
	c.Token, c.TokenFile = from.BearerToken, from.BearerTokenFile
	if from.Username != "" { // without one there is no header
		c.Basic = []string{from.Username, from.Password}
	}
	if as := from.Impersonate; as.UserName != "" {
		c.Impersonate = &impersonation{as.UserName, as.UID, as.Groups, as.Extra}
	}
	if from.AuthProvider != nil {
		c.AuthProvider = from.AuthProvider.Name
	}
	if base.User != nil {
		// net/http makes a header of it, which no round tripper of client-go replaces.
		password, _ := base.User.Password()
		c.Token, c.TokenFile, c.Basic = "", "", []string{base.User.Username(), password}
	}
	if base.Scheme != "http" && base.Scheme != "https" {
		return &problem{"cluster.server", "unsupported protocol scheme " + base.Scheme}
	}
	if number, err := strconv.Atoi(c.Port); err != nil || number > 65535 {
		return &problem{"cluster.server", "no such port " + c.Port}
	}
	if later := c.fillProxy(from, base); later != nil {
		return later
	}
	if later := c.fillCertificate(from); later != nil {
		return later
	}
	if later := c.fillPlugin(from); later != nil {
		return later
	}
	return transportProblem(from)
}

func (c *config) fillProxy(from *rest.Config, base *url.URL) *problem {
	find := from.Proxy
	if find == nil {
		// What http.ProxyFromEnvironment does, without remembering the first environment.
		environment := httpproxy.FromEnvironment().ProxyFunc()
		find = func(r *http.Request) (*url.URL, error) { return environment(r.URL) }
	}
	found, err := find(&http.Request{URL: base})
	if err != nil {
		return &problem{"environment.proxy", err.Error()}
	}
	if found == nil {
		return nil
	}
	c.Proxy = &proxy{Scheme: found.Scheme, Host: found.Hostname(), Port: portOf(found)}
	if found.User != nil {
		password, _ := found.User.Password()
		c.Proxy.Basic = []string{found.User.Username(), password}
	}
	field := "environment.proxy"
	if from.Proxy != nil {
		field = "cluster.proxy-url"
	}
	if number, err := strconv.Atoi(c.Proxy.Port); err != nil || number > 65535 {
		return &problem{field, "no such port " + c.Proxy.Port}
	}
	if found.Hostname() == "" {
		return &problem{field, "no host in it"}
	}
	return nil
}

// portOf is the port that net/http connects to.
func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	ports := map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}
	return ports[u.Scheme]
}

// fillCertificate gives paths only if both are files: else client-go reads them once.
func (c *config) fillCertificate(from *rest.Config) *problem {
	if len(from.CertData) == 0 && from.CertFile == "" {
		return nil
	}
	if len(from.CertData) == 0 && len(from.KeyData) == 0 && from.KeyFile != "" {
		c.Certificate = []string{from.CertFile, from.KeyFile}
		if _, err := tls.LoadX509KeyPair(from.CertFile, from.KeyFile); err != nil {
			// Found out in a handshake with a server that asks for a certificate.
			return &problem{"user.client-certificate", err.Error()}
		}
		return nil
	}
	certificate, key := from.CertData, from.KeyData
	var err error
	if len(certificate) == 0 {
		certificate, err = os.ReadFile(from.CertFile)
	}
	if err == nil && len(key) == 0 && from.KeyFile != "" {
		key, err = os.ReadFile(from.KeyFile)
	}
	if err != nil {
		return &problem{"user.client-certificate", err.Error()}
	}
	c.Certificate = []string{hashOr(certificate, ""), hashOr(key, "")}
	return nil
}

var (
	authScheme = runtime.NewScheme()
	authCodecs = serializer.NewCodecFactory(authScheme)
)

func init() { install.Install(authScheme) }

func (c *config) fillPlugin(from *rest.Config) *problem {
	exec := from.ExecProvider
	if exec == nil || from.BearerToken != "" || from.BearerTokenFile != "" || c.Basic != nil ||
		c.Certificate != nil {
		return nil // client-go never asks the plugin then
	}
	c.Plugin = &plugin{
		Command: filepath.Clean(exec.Command), Args: exec.Args, APIVersion: exec.APIVersion,
		InteractiveMode: string(exec.InteractiveMode), InstallHint: exec.InstallHint,
	}
	for _, variable := range exec.Env {
		c.Plugin.Env = append(c.Plugin.Env, []string{variable.Name, variable.Value})
	}
	if !exec.ProvideClusterInfo {
		return nil
	}
	cluster, err := rest.ConfigToExecCluster(from)
	if err != nil {
		return &problem{"user.exec", err.Error()}
	}
	version, err := schema.ParseGroupVersion(exec.APIVersion)
	if err != nil || !authScheme.IsVersionRegistered(version) {
		return nil // refused below
	}
	credential := &clientauthentication.ExecCredential{
		Spec: clientauthentication.ExecCredentialSpec{Cluster: cluster}}
	encoded, err := runtime.Encode(authCodecs.LegacyCodec(version), credential)
	if err != nil {
		return &problem{"user.exec", err.Error()}
	}
	var decoded struct {
		Spec struct{ Cluster json.RawMessage }
	}
	if err := json.Unmarshal(encoded, &decoded); err != nil {
		return &problem{"user.exec", err.Error()}
	}
	c.Plugin.Cluster = decoded.Spec.Cluster
	return nil
}

// transportProblem builds what a client would send its requests through.
func transportProblem(from *rest.Config) *problem {
	built, err := from.TransportConfig()
	if err != nil {
		switch {
		case from.AuthProvider != nil:
			return &problem{"user.auth-provider", err.Error()}
		case strings.Contains(err.Error(), "invalid apiVersion"):
			return &problem{"user.exec.apiVersion", err.Error()}
		default:
			return &problem{"user.exec", err.Error()}
		}
	}
	if _, err := transport.HTTPWrappersForConfig(built, http.DefaultTransport); err != nil {
		if strings.Contains(err.Error(), "token from file") {
			return &problem{"user.tokenFile", err.Error()}
		}
		return &problem{"user.token", err.Error()}
	}
	if _, err := transport.TLSConfigFor(built); err != nil {
		unreadable := (*os.PathError)(nil)
		switch text := err.Error(); {
		case errors.As(err, &unreadable) && unreadable.Path == from.CAFile:
			return &problem{"cluster.certificate-authority", text}
		case strings.Contains(text, "insecure flag"):
			return &problem{"cluster.insecure-skip-tls-verify", text}
		case strings.Contains(text, "root certificates"):
			return &problem{"cluster.certificate-authority", text}
		default:
			return &problem{"user.client-certificate", text}
		}
	}
	return nil
}

func hashOr(data []byte, path string) string {
	if len(data) == 0 {
		return path
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
