package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"horcrux/engine/model"
	"horcrux/engine/transport"
)

// Node is what the package asks of a host; *fleet.Node is one.
type Node interface {
	Name() model.NodeName
	// Exec runs a command to its end, with bounded output.
	Exec(ctx context.Context, argv []string, stdin io.Reader) (transport.Result, error)
	// Start runs a command and gives its pipes.
	Start(ctx context.Context, argv []string) (transport.Stream, error)
	// MigrateAddress is where other nodes reach this one for the data of a move.
	MigrateAddress() string
}

// Tunnel carries connections by SSH from sockets on the source to those of the
// same names on the target; *relay.Files is one.
type Tunnel interface {
	// Open makes it, anew if it was open.
	Open(ctx context.Context) error
	// Socket gives the path of a socket that is not used yet, on either node.
	Socket() string
	// Listen opens a socket on the source, until Leave.
	Listen(ctx context.Context, socket string) error
	Leave(socket string)
	// Err is what SSH complained of since Open, nil if nothing.
	Err() error
	Close()
}

// File is one thing to copy.
type File struct {
	// Source is its absolute path on the source; links are followed.
	Source string `json:"source"`
	// Target is the absolute path that it gets on the target.
	Target string `json:"target"`
	// Tree says that it is a folder, to be copied with all that is in it: the
	// state of a vTPM. At most 64 MiB.
	Tree bool `json:"tree,omitempty"`
	// Parent has the folder made that a tree goes into, if it is not there.
	Parent bool `json:"parent,omitempty"`
}

// Zstd says whether data that goes through SSH is compressed on the way.
type Zstd string

// Wishes for compression; the first is the default.
const (
	ZstdAuto Zstd = ""    // where both nodes have it, the link is slow and the data shrink
	ZstdOn   Zstd = "on"  // where both nodes have it
	ZstdOff  Zstd = "off" // never
)

// Plan says what is copied and how. Another process that opens the same plan
// goes on where this one stopped.
type Plan struct {
	// Job names the partial files and our processes on the nodes. Only one copy
	// of a job may be open at a time.
	Job   string `json:"job"`
	Files []File `json:"files"`
	// Path is the way of the data: auto, direct, relay, or ssh, for which there
	// must be a Tunnel.
	Path   model.DataPath `json:"path,omitempty"`
	Tunnel Tunnel         `json:"-"`
	// Detour lets the data go by relay where the tunnel is refused.
	Detour bool `json:"-"`
	// Bandwidth is the most bytes a second, 0 for no limit.
	Bandwidth uint64 `json:"bandwidth,omitempty"`
	Zstd      Zstd   `json:"zstd,omitempty"`
	// Dir is a folder of this machine for the log of the copy; several plans of
	// one job may use it one after another.
	Dir string `json:"dir"`
}

// partial is the name under which a file grows.
func partial(target, job string) string { return target + ".partial-" + job }

// token marks our processes on the nodes, so that what a lost connection left
// behind is found again. It is a valid name of a QEMU object.
func token(job string) string {
	sum := sha256.Sum256([]byte("horcrux copy\x00" + job))
	return "horcrux-" + hex.EncodeToString(sum[:8])
}

const maxName = 255 // NAME_MAX of every file system that counts

// check says what is wrong with a plan, before anything is touched.
func (p Plan) check() error {
	if p.Job == "" || strings.ContainsFunc(p.Job, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}) {
		return fmt.Errorf("cannot copy for the job %q: its name must be letters, digits, - and _", p.Job)
	}
	if p.Dir == "" {
		return errors.New("cannot copy without a folder for the log")
	}
	switch p.Path {
	case "", model.PathAuto, model.PathDirect, model.PathSSH, model.PathRelay:
	default:
		return fmt.Errorf("cannot copy by the path %q: auto, direct, ssh and relay are possible", p.Path)
	}
	if p.Path == model.PathSSH && p.Tunnel == nil {
		return errors.New("cannot copy by the path ssh without a tunnel")
	}
	seen := map[string]bool{}
	for _, f := range p.Files {
		for _, name := range []string{f.Source, f.Target} {
			if err := checkPath(name); err != nil {
				return err
			}
		}
		if len(path.Base(partial(f.Target, p.Job))) > maxName {
			return fmt.Errorf("cannot copy to %q: with %q added the name is longer than %d bytes", f.Target, ".partial-"+p.Job, maxName)
		}
		if seen[f.Target] {
			return fmt.Errorf("cannot copy two files to %q", f.Target)
		}
		seen[f.Target] = true
	}
	return nil
}

// checkPath refuses names that cannot be passed on exactly: scripts read names
// by line, and QEMU takes them as JSON.
func checkPath(name string) error {
	switch {
	case !path.IsAbs(name) || path.Clean(name) != name || name == "/":
		return fmt.Errorf("cannot copy %q: not a clean absolute path", name)
	case strings.ContainsAny(name, "\n\r\x00"):
		return fmt.Errorf("cannot copy %q: its name holds a line break", name)
	case !utf8.ValidString(name):
		return fmt.Errorf("cannot copy %q: its name is not valid UTF-8, which QEMU needs", name)
	}
	return nil
}
