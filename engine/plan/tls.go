package plan

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"horcrux/engine/model"
)

// TLSFact is what a node has for QEMU's own encryption, as libvirt would use it.
type TLSFact struct {
	// Dir is where libvirt looks; empty if nobody looked.
	Dir string
	// CA, Server and Client are certificates in PEM, nil for one that is not there.
	CA, Server, Client []byte
	// ServerKey and ClientKey tell that the keys are there; nobody reads them.
	ServerKey, ClientKey bool
	// Rights are those of the files.
	Rights []FileRights
}

// User is a user of a host, with its group.
type User struct{ UID, GID uint32 }

// FileRights are who may do what with a file of that name.
type FileRights struct {
	Name           string
	UID, GID, Mode uint32
}

// readableBy tells whether a user may read the file, as far as that is certain: it
// may be in more groups than its own.
func (r FileRights) readableBy(u *User) bool {
	switch {
	case u == nil || u.UID == 0:
		return true
	case r.UID == u.UID:
		return r.Mode&0o400 != 0
	case r.GID == u.GID:
		return r.Mode&0o040 != 0
	}
	return r.Mode&0o044 != 0
}

// unreadable is the first of these files that QEMU on a host may not read.
func (h HostFacts) unreadable(names ...string) string {
	for _, r := range h.TLS.Rights {
		if slices.Contains(names, r.Name) && !r.readableBy(h.QEMUUser) {
			return r.Name
		}
	}
	return ""
}

// secure decides whether QEMU encrypts what it sends, and under which name the
// target is known in its certificate if not under its address.
func secure(f *facts, now time.Time) (use bool, name string, why error) {
	if f.r.Options.TLS == model.TLSOff {
		return false, "", errors.New("it is switched off")
	}
	if f.way == model.PathRelay {
		return false, "", errors.New("on the way through this machine SSH encrypts instead")
	}
	if f.way == model.PathSSH {
		return false, "", errors.New("SSH from node to node encrypts instead")
	}
	s, d := f.src.TLS, f.dst.TLS
	for _, side := range []struct {
		host  HostFacts
		file  string
		cert  []byte
		key   bool
		roots []byte // of the other side
		other model.NodeName
		usage x509.ExtKeyUsage
	}{
		{f.dst, "server", d.Server, d.ServerKey, s.CA, f.src.Name, x509.ExtKeyUsageServerAuth},
		{f.src, "client", s.Client, s.ClientKey, d.CA, f.dst.Name, x509.ExtKeyUsageClientAuth},
	} {
		switch {
		case side.host.TLS.Dir == "":
			return false, "", fmt.Errorf("the certificates of %s were not looked at", side.host.Name)
		case side.cert == nil:
			return false, "", fmt.Errorf("%s has no %s/%s-cert.pem", side.host.Name, side.host.TLS.Dir, side.file)
		case !side.key:
			return false, "", fmt.Errorf("%s has no %s/%s-key.pem", side.host.Name, side.host.TLS.Dir, side.file)
		case side.roots == nil:
			return false, "", fmt.Errorf("%s has no ca-cert.pem", side.other)
		}
		if name := side.host.unreadable("ca-cert.pem", side.file+"-cert.pem", side.file+"-key.pem"); name != "" {
			return false, "", fmt.Errorf("QEMU on %s, which runs as user %d, may not read %s/%s", side.host.Name, side.host.QEMUUser.UID, side.host.TLS.Dir, name)
		}
		if err := trusts(side.roots, side.cert, side.usage, now); err != nil {
			return false, "", fmt.Errorf("%s does not trust the %s certificate of %s: %w", side.other, side.file, side.host.Name, err)
		}
	}
	name, why = nameFor(d.Server, f.dst)
	return why == nil, name, why
}

// trusts verifies a certificate against what the other side holds for true.
func trusts(roots, leaf []byte, usage x509.ExtKeyUsage, now time.Time) error {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return errors.New("its ca-cert.pem holds no certificate")
	}
	certs, err := parse(leaf)
	if err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	_, err = certs[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func parse(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return out, nil
}

// nameFor is the name that the source must expect in the target's certificate;
// empty if that is the address it sends to.
func nameFor(server []byte, dst HostFacts) (string, error) {
	certs, err := parse(server)
	if err != nil {
		return "", err
	}
	addr := dst.MigrateAddr
	if ip, err := netip.ParseAddr(addr); err == nil && ip.Is6() {
		addr = "[" + addr + "]"
	}
	if addr != "" && certs[0].VerifyHostname(addr) == nil {
		return "", nil
	}
	for _, name := range []string{dst.Hostname, string(dst.Name)} {
		if name != "" && certs[0].VerifyHostname(name) == nil {
			return name, nil
		}
	}
	return "", fmt.Errorf("the server certificate of %s names neither %s nor %s", dst.Name, dst.MigrateAddr, dst.Hostname)
}

// encryptionRule says the truth about who could read what is sent.
func encryptionRule(f *facts) []model.Finding {
	const id, title = "encryption", "encryption"
	clear := fmt.Sprintf("memory and disks travel from %s to %s not encrypted; only the control goes through SSH", f.src.Name, f.dst.Name)
	switch {
	case !MovesMemory(f.r):
		return one(pass(id, title, "%s", clear))
	case f.way == model.PathRelay && f.r.Options.TLS == model.TLSRequire:
		return one(fail(id, title, "TLS of QEMU is required, and it does not work through this machine", "--tls auto: SSH encrypts both ways; or --path direct"))
	case f.way == model.PathSSH && f.r.Options.TLS == model.TLSRequire:
		return one(fail(id, title, "TLS of QEMU is required, and it does not work through SSH from node to node", "--tls auto: SSH encrypts; or --path direct"))
	case f.way == model.PathSSH && len(f.files) > 0:
		return one(pass(id, title, "memory and disks are encrypted by SSH all the way from %s to %s; small files go through this machine, by SSH on both ways", f.src.Name, f.dst.Name))
	case f.way == model.PathSSH:
		return one(pass(id, title, "memory and disks are encrypted by SSH all the way from %s to %s; this machine does not see them", f.src.Name, f.dst.Name))
	case f.way == model.PathRelay:
		return one(pass(id, title, "memory and disks are encrypted by SSH from %s to this machine and from here to %s; this machine sees them as they are", f.src.Name, f.dst.Name))
	case f.tls:
		s := fmt.Sprintf("QEMU encrypts memory and disks with TLS, with the certificates in %s of %s and %s of %s", f.src.TLS.Dir, f.src.Name, f.dst.TLS.Dir, f.dst.Name)
		if f.tlsName != "" {
			s += fmt.Sprintf("; %s is expected to show itself as %s", f.dst.Name, f.tlsName)
		}
		return one(pass(id, title, "%s", s))
	case f.r.Options.TLS == model.TLSRequire:
		return one(fail(id, title, fmt.Sprintf("TLS is required, and %v", f.tlsWhy),
			fmt.Sprintf("put ca-cert.pem, server-cert.pem, server-key.pem, client-cert.pem and client-key.pem into %s of both nodes, or do without: --tls auto", orDefault(f.dst.TLS.Dir))))
	case f.tlsWhy != nil:
		return one(pass(id, title, "%s (no TLS: %v)", clear, f.tlsWhy))
	}
	return one(pass(id, title, "%s", clear))
}

func orDefault(dir string) string {
	if dir == "" {
		return "/etc/pki/qemu"
	}
	return dir
}
