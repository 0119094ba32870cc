package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"
)

// pkiDir is where libvirt looks for QEMU's certificates if it is told nothing.
const pkiDir = "/etc/pki/qemu"

// Authority signs certificates for hosts of a lab.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes one; two of them do not trust each other's hosts.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Authority{cert, key}, err
}

// GiveTLS gives a running host certificates for QEMU's own encryption, signed by
// a and naming the host by names, or by its address and name if none are given.
func (n *Node) GiveTLS(a *Authority, names ...string) error {
	pid := n.PID()
	if pid == 0 {
		return n.errOff()
	}
	dir := n.path(pid, pkiDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if len(names) == 0 {
		names = []string{n.Address, n.Name}
	}
	if err := writePEM(filepath.Join(dir, "ca-cert.pem"), "CERTIFICATE", a.cert.Raw); err != nil {
		return err
	}
	for serial, role := range []string{"server", "client"} {
		if err := a.sign(dir, role, int64(serial)+2, names); err != nil {
			return fmt.Errorf("cannot make the %s certificate of %s: %w", role, n.Name, err)
		}
	}
	return giveToQEMU(dir)
}

// giveToQEMU lets QEMU's user read what is in a folder, and nobody else.
func giveToQEMU(dir string) error {
	u, err := user.Lookup("libvirt-qemu")
	if err != nil {
		return err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	files, err3 := filepath.Glob(filepath.Join(dir, "*.pem"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	for _, f := range files {
		if err := os.Chown(f, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// TakeTLS takes a host's certificates away.
func (n *Node) TakeTLS() error {
	pid := n.PID()
	if pid == 0 {
		return n.errOff()
	}
	return os.RemoveAll(n.path(pid, pkiDir))
}

func (a *Authority) sign(dir, role string, serial int64, names []string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	usage := x509.ExtKeyUsageServerAuth
	if role == "client" {
		usage = x509.ExtKeyUsageClientAuth
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: names[0]}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	cert, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, role+"-cert.pem"), "CERTIFICATE", cert); err != nil {
		return err
	}
	return writePEM(filepath.Join(dir, role+"-key.pem"), "PRIVATE KEY", der)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
