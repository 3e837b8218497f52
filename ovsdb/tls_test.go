package ovsdb

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// certificate makes a self-signed certificate with its key in dir, and gives their file names.
func certificate(t *testing.T, dir string) (key, cert string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ovs"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	key, cert = filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	for name, block := range map[string]*pem.Block{key: {Type: "PRIVATE KEY", Bytes: raw}, cert: {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return key, cert
}

func TestTLS(t *testing.T) {
	key, cert := certificate(t, t.TempDir())
	s := newServer(t, ours(t), "--remote=db:Open_vSwitch,Open_vSwitch,manager_options", "--private-key="+key, "--certificate="+cert, "--ca-cert="+cert)
	s.vsctl("init", "--", "set-manager", "pssl:0:127.0.0.1")
	var port string
	eventually(t, "the server listens", func() error {
		port = strings.Trim(s.vsctl("--if-exists", "get", "manager", ".", "status:bound_port"), `"`)
		_, err := strconv.Atoi(port)
		return err
	})
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	own, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	// OVS's certificates have no host names: the certificate is verified, the name is not.
	config := &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, VerifyConnection: func(cs tls.ConnectionState) error {
		roots := x509.NewCertPool()
		roots.AddCert(own)
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots})
		return err
	}}
	c := connect(t, Options{Remote: "ssl:127.0.0.1:" + port, TLS: config})
	next(t, c, "by ssl", nil)
	write(t, c, &Status{CurCfg: ptr(4)})
	want(t, "cur_cfg", s.vsctl("get", "open", ".", "cur_cfg"), "4")
}
