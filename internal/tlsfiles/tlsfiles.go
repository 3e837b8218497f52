// Package tlsfiles makes the TLS settings of ssl: and pssl: connections from files, as ovs-vswitchd does: a key pair,
// and a CA certificate that peers must be signed by. Files are read for each connection, so that what replaced them takes
// effect with the next one. Host names are not verified: the CA alone says who belongs to the installation.
package tlsfiles

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Files name what a connection is made with; "" is missing.
type Files struct {
	PrivateKey, Certificate, CACert string
	// Bootstrap: while there is no CACert file, the first peer that shows a self-signed CA certificate in its chain is
	// trusted, and that certificate written to CACert.
	Bootstrap bool
	// PeerCACert is sent to peers behind the own certificate, for those that bootstrap.
	PeerCACert string
	// ServerName is sent to servers (SNI).
	ServerName string
	// Protocols are the versions of TLS that are allowed: "TLSv1.2,TLSv1.3", or "TLSv1.2+" for that and later ones; ""
	// is both.
	Protocols string
}

// ErrBootstrapped ends the connection by which the CA certificate came; the next one is verified by it.
var ErrBootstrapped = errors.New("the CA certificate has been stored: connecting again")

// Client is the setting of connections to servers. files is asked for each connection.
func Client(files func() Files) (*tls.Config, error) {
	f := files()
	c := &tls.Config{
		// The chain is verified below, by the CA certificate as it is then.
		InsecureSkipVerify: true,
		ServerName:         f.ServerName,
		VerifyConnection:   func(s tls.ConnectionState) error { return files().verify(s.PeerCertificates) },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return files().pair()
		},
	}
	return c, f.protocols(c)
}

// Server is the setting of connections from clients, which must have a certificate, too.
func Server(files func() Files) (*tls.Config, error) {
	c := &tls.Config{
		ClientAuth:       tls.RequireAnyClientCert,
		VerifyConnection: func(s tls.ConnectionState) error { return files().verify(s.PeerCertificates) },
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return files().pair()
		},
		// A resumed session would not be verified by what the files say now.
		SessionTicketsDisabled: true,
	}
	return c, files().protocols(c)
}

// Check says what is missing or wrong.
func (f Files) Check() error {
	switch {
	case f.PrivateKey == "":
		return errors.New("a private key must be configured to use TLS")
	case f.Certificate == "":
		return errors.New("a certificate must be configured to use TLS")
	case f.CACert == "":
		return errors.New("a CA certificate must be configured to use TLS")
	}
	_, err := f.pair()
	return err
}

func (f Files) pair() (*tls.Certificate, error) {
	if f.PrivateKey == "" || f.Certificate == "" {
		return nil, f.Check()
	}
	c, err := tls.LoadX509KeyPair(f.Certificate, f.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("key pair of %s and %s: %w", f.Certificate, f.PrivateKey, err)
	}
	if f.PeerCACert != "" {
		list, err := certificates(f.PeerCACert)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			c.Certificate = append(c.Certificate, p.Raw)
		}
	}
	return &c, nil
}

// certificates reads the certificates of a PEM file.
func certificates(file string) ([]*x509.Certificate, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	var list []*x509.Certificate
	for len(b) > 0 {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("CA certificate %s: %w", file, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("CA certificate %s: no certificate is in it", file)
	}
	return list, nil
}

// verify checks a peer's chain, its own certificate first.
func (f Files) verify(chain []*x509.Certificate) error {
	if f.CACert == "" {
		return f.Check()
	}
	if len(chain) == 0 {
		return errors.New("the peer has no certificate")
	}
	cas, err := certificates(f.CACert)
	if errors.Is(err, os.ErrNotExist) && f.Bootstrap {
		return f.bootstrap(chain)
	}
	if err != nil {
		return err
	}
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	for _, c := range cas {
		o.Roots.AddCert(c)
	}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(o); err != nil {
		return fmt.Errorf("certificate of the peer: %w", err)
	}
	return nil
}

// bootstrap stores the CA certificate of a chain, which must be its last and signed by itself.
func (f Files) bootstrap(chain []*x509.Certificate) error {
	ca := chain[len(chain)-1]
	if !bytes.Equal(ca.RawIssuer, ca.RawSubject) || ca.CheckSignature(ca.SignatureAlgorithm, ca.RawTBSCertificate, ca.Signature) != nil {
		return fmt.Errorf("cannot bootstrap the CA certificate %s: the peer does not send the self-signed certificate of its CA", f.CACert)
	}
	// The name appears with its content, so that nobody reads half of it.
	tmp, err := os.CreateTemp(filepath.Dir(f.CACert), ".ca-*")
	if err != nil {
		return fmt.Errorf("bootstrap of the CA certificate: %w", err)
	}
	defer os.Remove(tmp.Name())
	err = pem.Encode(tmp, &pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
	err = errors.Join(err, tmp.Chmod(0o444), tmp.Close())
	if err == nil {
		// Another connection may have been first; then its certificate counts.
		if err = os.Link(tmp.Name(), f.CACert); errors.Is(err, os.ErrExist) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("bootstrap of the CA certificate: %w", err)
	}
	return ErrBootstrapped
}

var versions = []struct {
	name string
	v    uint16
}{{"TLSv1.2", tls.VersionTLS12}, {"TLSv1.3", tls.VersionTLS13}}

// protocols sets the versions.
func (f Files) protocols(c *tls.Config) error {
	c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS13
	if strings.TrimSpace(f.Protocols) == "" {
		return nil
	}
	first, last := uint16(0), uint16(0)
	for _, word := range strings.FieldsFunc(f.Protocols, func(r rune) bool { return r == ',' || r == ' ' }) {
		name, later := strings.CutSuffix(word, "+")
		known := false
		for _, x := range versions {
			if !strings.EqualFold(name, x.name) {
				continue
			}
			known = true
			if first == 0 || x.v < first {
				first = x.v
			}
			last = max(last, x.v)
			if later {
				last = tls.VersionTLS13
			}
		}
		if !known {
			return fmt.Errorf("TLS protocol %q: want TLSv1.2 or TLSv1.3", word)
		}
	}
	c.MinVersion, c.MaxVersion = first, last
	return nil
}
