package transport

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// maxKnownHosts bounds the file that is written anew.
const maxKnownHosts = 16 << 20

// remember adds a key to known_hosts: a new file, of which only its owner can
// read, takes the place of the old one. A link in that place is refused, since
// the file that it names may not be ours. Names are hashed if the file has
// hashed ones.
func remember(file, host string, key ssh.PublicKey) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	st, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !st.Mode().IsRegular():
		return fmt.Errorf("%s is not a file of its own (a link?), and is not written", file)
	case st.Size() > maxKnownHosts:
		return fmt.Errorf("%s is larger than %d MiB, and is not written", file, maxKnownHosts>>20)
	}
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := string(old)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if strings.HasPrefix(text, "|1|") || strings.Contains(text, "\n|1|") {
		host = xknownhosts.HashHostname(host)
	}
	f, err := renameio.NewPendingFile(file, renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.WriteString(text + keyLine(host, key) + "\n"); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
