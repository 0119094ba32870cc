package transport

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"al.essio.dev/pkg/shellescape"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys is how one server's key is checked.
type hostKeys struct {
	target     Target
	db         *knownhosts.HostKeyDB // nil if no file exists
	algorithms []string              // types that known_hosts has, so that the server shows one of them
	known      bool                  // it has some
}

func readHostKeys(t Target) (*hostKeys, error) {
	h := &hostKeys{target: t}
	if files := existing(t.KnownHosts); len(files) > 0 {
		db, err := knownhosts.NewDB(files...)
		if err != nil {
			return nil, fmt.Errorf("known_hosts cannot be read: %w", err)
		}
		h.db, h.algorithms = db, db.HostKeyAlgorithms(h.lookup())
	}
	h.known = len(h.algorithms) > 0
	if !h.known {
		h.algorithms = shownFirst
	}
	return h, nil
}

// shownFirst is what an unknown server is asked for: its Ed25519 key if it has
// one, as OpenSSH does, so that both show the same fingerprint.
var shownFirst = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
}

// lookup is host:port as known_hosts is asked for it.
func (h *hostKeys) lookup() string {
	if h.target.KeyAlias != "" {
		return net.JoinHostPort(h.target.KeyAlias, "22")
	}
	return h.target.Address()
}

func (h *hostKeys) check(_ string, remote net.Addr, key ssh.PublicKey) error {
	var err error = &xknownhosts.KeyError{}
	if h.db != nil {
		err = h.db.HostKeyCallback()(h.lookup(), remoteAddr(remote), key)
	}
	if err == nil {
		return nil
	}
	e := &HostKeyError{
		Host:        xknownhosts.Normalize(h.lookup()),
		Fingerprint: ssh.FingerprintSHA256(key), KeyType: key.Type(),
	}
	var unknown *xknownhosts.KeyError
	var revoked *xknownhosts.RevokedError
	switch {
	case errors.As(err, &revoked):
		e.Revoked = true
	case errors.As(err, &unknown):
		e.Known = places(unknown.Want)
		e.Accept = h.accept(key, len(unknown.Want) > 0)
	default:
		return err
	}
	return e
}

// noCommonType makes the error of a server that has no key of a known type.
func (h *hostKeys) noCommonType() *HostKeyError {
	e := &HostKeyError{Host: xknownhosts.Normalize(h.lookup())}
	if h.db != nil {
		for _, k := range h.db.HostKeys(h.lookup()) {
			e.Known = append(e.Known, KnownKey{ssh.FingerprintSHA256(k), k.Type(), "known_hosts"})
		}
	}
	file := shellescape.Quote(h.file())
	e.Accept = "ssh-keygen -R " + shellescape.Quote(e.Host) + " -f " + file +
		" && ssh-keyscan -p " + fmt.Sprint(h.target.Port) + " " + shellescape.Quote(h.target.Host) + " >> " + file
	return e
}

// accept is the shell command that makes key the known one.
func (h *hostKeys) accept(key ssh.PublicKey, changed bool) string {
	line := xknownhosts.Normalize(h.lookup()) + " " + key.Type() + " " + base64.StdEncoding.EncodeToString(key.Marshal())
	file := shellescape.Quote(h.file())
	cmd := "echo " + shellescape.Quote(line) + " >> " + file
	if changed {
		cmd = "ssh-keygen -R " + shellescape.Quote(xknownhosts.Normalize(h.lookup())) + " -f " + file + " && " + cmd
	}
	return cmd
}

func (h *hostKeys) file() string {
	for _, f := range h.target.KnownHosts {
		if !strings.HasPrefix(f, "/etc/") {
			return f
		}
	}
	if len(h.target.KnownHosts) > 0 {
		return h.target.KnownHosts[0]
	}
	home, _ := os.UserHomeDir()
	return home + "/.ssh/known_hosts"
}

func places(want []xknownhosts.KnownKey) []KnownKey {
	var all []KnownKey
	for _, k := range want {
		all = append(all, KnownKey{ssh.FingerprintSHA256(k.Key), k.Key.Type(), fmt.Sprintf("%s:%d", k.Filename, k.Line)})
	}
	return all
}

// remoteAddr gives the checker something that it can parse; behind a jump host
// there is no such address.
func remoteAddr(a net.Addr) net.Addr {
	if a != nil {
		if _, _, err := net.SplitHostPort(a.String()); err == nil {
			return a
		}
	}
	return &net.TCPAddr{IP: net.IPv4zero}
}
