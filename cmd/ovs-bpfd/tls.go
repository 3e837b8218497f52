package main

import (
	"crypto/tls"
	"errors"

	"github.com/ovs-bpf/ovs-bpf/internal/daemon"
	"github.com/ovs-bpf/ovs-bpf/internal/tlsfiles"
)

// tlsOptions makes of the command line what controllers and the database connect with; no setting (nil) for the
// database without a key, a certificate and a CA certificate.
func tlsOptions(o daemon.TLS) (tlsfiles.Files, *tls.Config, error) {
	f := tlsfiles.Files{
		PrivateKey: o.PrivateKey, Certificate: o.Certificate, CACert: o.CACert, Bootstrap: o.BootstrapCACert,
		PeerCACert: o.PeerCACert, ServerName: o.ServerName, Protocols: o.Protocols,
	}
	if o.Ciphers != "" || o.CipherSuites != "" {
		return f, nil, errors.New("--ssl-ciphers and --ssl-ciphersuites are not supported: the safe ones of TLS 1.2 and 1.3 are used")
	}
	config, err := tlsfiles.Client(func() tlsfiles.Files { return f })
	if err != nil || f.PrivateKey == "" || f.Certificate == "" || f.CACert == "" {
		return f, nil, err
	}
	return f, config, nil
}
