package main

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const (
	adminToken  = "admin-token"
	nobodyToken = "nobody-token"
	// The static token file: token, user, uid, groups. nobody is authenticated and may discover,
	// as everyone; every other request of his is an honest 403 until a test gives him a Role.
	tokenFile = adminToken + ",admin,1,system:masters\n" + nobodyToken + ",nobody,2\n"
)

// files are the paths of what prepare has written.
type files struct {
	server            string // URL, for the kubeconfigs
	servingCert       string // with its CA behind it: clients trust this file
	servingKey        string
	serviceAccountKey string
	tokens            string
	clientCA          string // empty: no client certificates
	adminKubeconfig   string
}

// prepare makes what is missing in dir. Keys and certificates are made once, so that clients trust
// a restarted server; kubeconfigs are written anew, as the port may have changed.
func prepare(dir, server string, clientCA bool) (files, error) {
	pki := filepath.Join(dir, "pki")
	f := files{
		server:            server,
		servingCert:       filepath.Join(pki, "server.crt"),
		servingKey:        filepath.Join(pki, "server.key"),
		serviceAccountKey: filepath.Join(pki, "service-account.key"),
		tokens:            filepath.Join(pki, "tokens.csv"),
		adminKubeconfig:   filepath.Join(dir, "admin.kubeconfig"),
	}
	if err := os.MkdirAll(pki, 0o700); err != nil {
		return f, err
	}
	if err := os.WriteFile(f.tokens, []byte(tokenFile), 0o600); err != nil {
		return f, err
	}
	if _, _, err := keyutil.LoadOrGenerateKeyFile(f.serviceAccountKey); err != nil {
		return f, err
	}
	if err := makeServingCert(f); err != nil {
		return f, fmt.Errorf("serving certificate: %w", err)
	}
	name := filepath.Base(dir)
	users := map[string]*clientcmdapi.AuthInfo{
		"admin":  {Token: adminToken},
		"nobody": {Token: nobodyToken},
	}
	if clientCA {
		f.clientCA = filepath.Join(pki, "client-ca.crt")
		crt, key := filepath.Join(pki, "client.crt"), filepath.Join(pki, "client.key")
		if err := makeClientCert(f.clientCA, crt, key); err != nil {
			return f, fmt.Errorf("client certificate: %w", err)
		}
		users["cert"] = &clientcmdapi.AuthInfo{ClientCertificate: crt, ClientKey: key}
	}
	for user, auth := range users {
		if err := writeKubeconfig(filepath.Join(dir, user+".kubeconfig"), f, name, user, auth); err != nil {
			return f, err
		}
	}
	return f, nil
}

// writeKubeconfig names cluster and context after the folder, so that the kubeconfigs of two
// servers can be merged.
func writeKubeconfig(path string, f files, name, user string, auth *clientcmdapi.AuthInfo) error {
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: f.server, CertificateAuthority: f.servingCert}
	name, cluster := name+"-"+user, name
	config.AuthInfos[name] = auth
	config.Contexts[name] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.WriteToFile(*config, path)
}

func makeServingCert(f files) error {
	if done, err := exists(f.servingKey); done || err != nil {
		return err
	}
	names := []string{"localhost", "kubernetes.default.svc"}
	crt, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, names)
	if err != nil {
		return err
	}
	if err := cert.WriteCert(f.servingCert, crt); err != nil {
		return err
	}
	return keyutil.WriteKey(f.servingKey, key) // last: its presence says that both are there
}

// makeClientCert makes a CA and one certificate of it for a member of system:masters.
func makeClientCert(caPath, crtPath, keyPath string) error {
	if done, err := exists(crtPath); done || err != nil {
		return err
	}
	caKey, err := makeKey(filepath.Join(filepath.Dir(caPath), "client-ca.key"))
	if err != nil {
		return err
	}
	ca, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "client-ca"}, caKey)
	if err != nil {
		return err
	}
	key, err := makeKey(keyPath)
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "cert-admin", Organization: []string{"system:masters"}},
		NotBefore:    ca.NotBefore,
		NotAfter:     ca.NotBefore.Add(365 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if err := writeCertificate(caPath, ca); err != nil {
		return err
	}
	return writeCertificate(crtPath, signed) // last, as above
}

func makeKey(path string) (crypto.Signer, error) {
	pem, _, err := keyutil.LoadOrGenerateKeyFile(path)
	if err != nil {
		return nil, err
	}
	key, err := keyutil.ParsePrivateKeyPEM(pem)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a %T cannot sign", path, key)
	}
	return signer, nil
}

func writeCertificate(path string, certificate *x509.Certificate) error {
	pem, err := cert.EncodeCertificates(certificate)
	if err != nil {
		return err
	}
	return cert.WriteCert(path, pem)
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
