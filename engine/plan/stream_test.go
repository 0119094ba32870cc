package plan

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
)

func TestStreamChoices(t *testing.T) {
	both := func(in *input, libvirt, qemu string) {
		in.src.Libvirt, in.dst.Libvirt, in.src.QEMU, in.dst.QEMU = libvirt, libvirt, qemu, qemu
	}
	tests := []struct {
		name    string
		spoil   func(*input)
		id      string
		verdict model.Verdict
		detail  string
	}{
		{"parallel", func(in *input) { in.r.Options.Parallel = 4 }, "parallel", model.Pass, "over 4 of them"},
		{"more than CPUs", func(in *input) { in.r.Options.Parallel = 9 }, "parallel", model.Warn, "node1 has 8 CPUs"},
		{"old libvirt", func(in *input) { in.r.Options.Parallel = 4; both(in, "5.1.0", "7.2.0") }, "parallel", model.Fail, "libvirt 5.1.0 on node1"},
		{"old QEMU there", func(in *input) { in.r.Options.Parallel = 4; in.dst.QEMU = "3.1.0" }, "parallel", model.Fail, "QEMU 3.1.0 on node2"},
		{"with post-copy", func(in *input) { in.r.Options.Parallel, in.r.Options.Policy = 4, model.PolicyPostCopy }, "parallel", model.Fail, "10.1 can"},
		{"with post-copy, new", func(in *input) {
			in.r.Options.Parallel, in.r.Options.Policy = 4, model.PolicyPostCopy
			both(in, "11.3.0", "10.1.0")
		}, "parallel", model.Pass, "over 4"},
		{"zstd alone", func(in *input) { in.r.Options.Compression = model.CompressZstd }, "compression", model.Fail, "parallel connections only"},
		{"zstd too old", func(in *input) { in.r.Options.Compression, in.r.Options.Parallel = model.CompressZstd, 2 }, "compression", model.Fail, "9.1 does"},
		{"zstd", func(in *input) {
			in.r.Options.Compression, in.r.Options.Parallel = model.CompressZstd, 2
			both(in, "9.1.0", "7.2.0")
		}, "compression", model.Pass, "zstd"},
		{"xbzrle", func(in *input) { in.r.Options.Compression = model.CompressXBZRLE }, "compression", model.Pass, "xbzrle"},
		{"xbzrle and parallel", func(in *input) { in.r.Options.Compression, in.r.Options.Parallel = model.CompressXBZRLE, 2 }, "compression", model.Fail, "single stream"},
		{"post-copy", func(in *input) { in.r.Options.Policy = model.PolicyPostCopy }, "post-copy", model.Warn, "no gate and no undo"},
		{"post-copy without userfaultfd", func(in *input) {
			in.r.Options.Policy, in.dst.NoPostCopy = model.PolicyPostCopy, "userfaultfd is for root"
		}, "post-copy", model.Fail, "userfaultfd is for root"},
		{"post-copy that cannot be resumed", func(in *input) {
			in.r.Options.Policy = model.PolicyPostCopy
			both(in, "11.3.0", "10.0.13")
		}, "post-copy", model.Warn, "of which libvirtd 11.3.0 on node2 would die"},
		{"post-copy online", func(in *input) { in.r.Options.Policy, in.r.Mode = model.PolicyPostCopy, model.ModeOnline }, "post-copy", model.Pass, "converges"},
		{"post-copy paused", func(in *input) {
			in.r.Options.Policy = model.PolicyPostCopy
			in.vm.Status.State, in.vm.Status.Reason = model.StatePaused, "user"
		}, "post-copy", model.Pass, "converges"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := good()
			tt.spoil(&in)
			f := find(t, in.plan(), tt.id)
			if f.Verdict != tt.verdict || !strings.Contains(f.Detail, tt.detail) || tt.verdict == model.Fail && f.Remedy == "" {
				t.Errorf("got %s: %s; %s", f.Verdict, f.Detail, f.Remedy)
			}
		})
	}
}

func TestReadableBy(t *testing.T) {
	qemu := &User{UID: 64055, GID: 130}
	for _, c := range []struct {
		r    FileRights
		u    *User
		want bool
	}{
		{FileRights{UID: 0, GID: 0, Mode: 0o600}, nil, true},
		{FileRights{UID: 0, GID: 0, Mode: 0o600}, &User{}, true},
		{FileRights{UID: 0, GID: 0, Mode: 0o600}, qemu, false},
		{FileRights{UID: 0, GID: 0, Mode: 0o644}, qemu, true},
		{FileRights{UID: 0, GID: 130, Mode: 0o640}, qemu, true},
		{FileRights{UID: 0, GID: 130, Mode: 0o604}, qemu, false},
		{FileRights{UID: 0, GID: 7, Mode: 0o640}, qemu, true}, // it may be in that group too
		{FileRights{UID: 64055, GID: 0, Mode: 0o400}, qemu, true},
		{FileRights{UID: 64055, GID: 0, Mode: 0o044}, qemu, false},
	} {
		if got := c.r.readableBy(c.u); got != c.want {
			t.Errorf("%+v by %+v: %v", c.r, c.u, got)
		}
	}
}

// authority signs in tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(5000, 0), KeyUsage: x509.KeyUsageCertSign,
	}, key}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a authority) sign(t *testing.T, usage x509.ExtKeyUsage, until time.Time, names ...string) []byte {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Unix(0, 0), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{usage}}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func certified(t *testing.T) func(*input) {
	t.Helper()
	return certifiedBy(t, newAuthority(t))
}

// certifiedBy gives both hosts what TLS needs.
func certifiedBy(t *testing.T, a authority) func(*input) {
	t.Helper()
	later := time.Unix(4000, 0)
	return func(in *input) {
		for _, h := range []*HostFacts{&in.src, &in.dst} {
			h.TLS = TLSFact{
				Dir: "/etc/pki/qemu", CA: a.pem(), ServerKey: true, ClientKey: true,
				Server: a.sign(t, x509.ExtKeyUsageServerAuth, later, h.MigrateAddr), Client: a.sign(t, x509.ExtKeyUsageClientAuth, later, string(h.Name)),
			}
		}
	}
}

func TestTLS(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	later := time.Unix(4000, 0)
	with := certifiedBy(t, a)
	tests := []struct {
		name  string
		spoil func(*input)
		use   bool
		tls   string // the name
		why   string
	}{
		{"both have it", func(*input) {}, true, "", "QEMU encrypts memory and disks"},
		{"by name", func(in *input) {
			in.dst.TLS.Server = a.sign(t, x509.ExtKeyUsageServerAuth, later, "node2.example")
		}, true, "node2.example", "show itself as node2.example"},
		{"another name", func(in *input) { in.dst.TLS.Server = a.sign(t, x509.ExtKeyUsageServerAuth, later, "other") }, false, "", "names neither 10.0.0.2 nor node2.example"},
		{"nobody looked", func(in *input) { in.dst.TLS = TLSFact{} }, false, "", "not looked at"},
		{"no server certificate", func(in *input) { in.dst.TLS.Server = nil }, false, "", "node2 has no /etc/pki/qemu/server-cert.pem"},
		{"no server key", func(in *input) { in.dst.TLS.ServerKey = false }, false, "", "node2 has no /etc/pki/qemu/server-key.pem"},
		{"no client certificate", func(in *input) { in.src.TLS.Client = nil }, false, "", "node1 has no /etc/pki/qemu/client-cert.pem"},
		{"the source's server certificate does not matter", func(in *input) { in.src.TLS.Server = nil }, true, "", "QEMU encrypts"},
		{"a foreign authority there", func(in *input) { in.dst.TLS.CA = b.pem() }, false, "", "node2 does not trust the client certificate of node1"},
		{"a foreign server", func(in *input) { in.dst.TLS.Server = b.sign(t, x509.ExtKeyUsageServerAuth, later, "10.0.0.2") }, false, "", "node1 does not trust the server certificate of node2"},
		{"expired", func(in *input) {
			in.dst.TLS.Server = a.sign(t, x509.ExtKeyUsageServerAuth, time.Unix(500, 0), "10.0.0.2")
		}, false, "", "expired"},
		{"for another use", func(in *input) { in.src.TLS.Client = a.sign(t, x509.ExtKeyUsageServerAuth, later, "node1") }, false, "", "client certificate"},
		{"rubbish", func(in *input) { in.dst.TLS.Server = []byte("rubbish") }, false, "", "holds no certificate"},
		{"an empty authority", func(in *input) { in.src.TLS.CA = []byte{} }, false, "", "holds no certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, wish := range model.TLSWishes {
				in := good()
				with(&in)
				tt.spoil(&in)
				in.r.Options.TLS = wish
				p := in.plan()
				f := find(t, p, "encryption")
				use := tt.use && wish != model.TLSOff
				if p.Encrypted != use || use && p.TLSName != tt.tls {
					t.Errorf("%s: encrypted %v as %q: %s", wish, p.Encrypted, p.TLSName, f.Detail)
				}
				if refused := wish == model.TLSRequire && !tt.use; (f.Verdict == model.Fail) != refused || refused && f.Remedy == "" {
					t.Errorf("%s: %s: %s; %s", wish, f.Verdict, f.Detail, f.Remedy)
				}
				want := tt.why
				if wish == model.TLSOff {
					want = "switched off"
				}
				if !strings.Contains(f.Detail, want) {
					t.Errorf("%s: %q does not say %q", wish, f.Detail, want)
				}
			}
		})
	}
}
